// `troupe workflow plan`, `stats` and `stuck`: what is asked about workflows rather than of one.

import type { Command } from 'commander';
import { durationArgument, fields, intArgument, jsonArgument, print, type Row, table } from './output.ts';
import { connect, type RemoteOptions, withRemoteOptions } from './remote.ts';

const BASE = '/api/agents/workflows';

export function addWorkflowFigures(workflow: Command): void {
  withRemoteOptions(workflow.command('plan'))
    .description('show what a workflow would do and how long it would take, without running it')
    .argument('<definition>', 'JSON, @file, or - for standard input')
    .action(async (definition: string, flags: RemoteOptions) => {
      const remote = await connect(flags);
      const plan = await remote.send('POST', `${BASE}/plan`, jsonArgument('the definition', definition));
      print(plan, flags.json, planText);
    });

  withRemoteOptions(workflow.command('stats'))
    .description('show what each pattern achieved over its runs')
    .option(
      '--within <duration>',
      'of runs that ended in the last 1h, 7d, ...; default 7d',
      durationArgument('--within'),
    )
    .action(async (flags: RemoteOptions & { within?: number }) => {
      const remote = await connect(flags);
      print(await remote.get(`${BASE}/statistics`, { withinS: seconds(flags.within) }), flags.json, statsText);
    });

  withRemoteOptions(workflow.command('stuck'))
    .description('list runs that nothing will move again')
    .option('--idle <duration>', 'without a decision for so long; default 60s', durationArgument('--idle'))
    .option('--limit <n>', 'at most so many; default 50', intArgument('--limit'))
    .action(async (flags: RemoteOptions & { idle?: number; limit?: number }) => {
      const remote = await connect(flags);
      const query = {
        idleS: seconds(flags.idle),
        ...(flags.limit === undefined ? {} : { limit: String(flags.limit) }),
      };
      print(await remote.get(`${BASE}/stuck`, query), flags.json, ({ items }: { items: Row[] }) =>
        table(items, ['id', 'name', 'pattern', 'startedAt', 'progress']),
      );
    });
}

const seconds = (ms: number | undefined): string | undefined =>
  ms === undefined ? undefined : String(Math.ceil(ms / 1_000));

interface Plan {
  readonly steps: readonly Row[];
  readonly order: readonly string[];
  readonly criticalPath: readonly string[];
  readonly redundantEdges: readonly { readonly step: string; readonly dependsOn: string }[];
  readonly predicted: Row & { readonly notes: readonly string[] };
}

/** Steps in the order they would run, then the figures. */
function planText(plan: Plan & Row): string {
  const place = new Map(plan.order.map((id, at) => [id, at]));
  const steps = [...plan.steps]
    .sort((a, b) => (place.get(String(a.id)) ?? 0) - (place.get(String(b.id)) ?? 0))
    .map((step) => ({ ...step, after: (step.reducedDependsOn as string[]).join(' ') || null }));
  const needless = plan.redundantEdges.map(({ step, dependsOn }) => `${step} after ${dependsOn}`).join(', ');
  const { notes, ...predicted } = plan.predicted;
  const figures = {
    pattern: plan.pattern,
    selected: plan.selected,
    criticalPath: plan.criticalPath.join(' > ') || null,
    maxParallelism: plan.maxParallelism,
    ...predicted,
    needless: needless || null,
  };
  return [
    table(steps, ['id', 'level', 'capability', 'after', 'predictedMs', 'basis']),
    fields(figures, Object.keys(figures)),
    ...notes.map((note) => `note: ${note}`),
  ].join('\n\n');
}

function statsText({ patterns }: { patterns: Row[] }): string {
  const rows = patterns.map((row) => {
    const { byStatus, wallMs, speedup } = row as Row & {
      byStatus: Record<string, number>;
      wallMs: Record<string, number> | null;
      speedup: Record<string, number> | null;
    };
    const rounded = (value: number | undefined) => (value === undefined ? null : Math.round(value * 100) / 100);
    return {
      ...row,
      completed: byStatus.completed ?? 0,
      failed: byStatus.failed ?? 0,
      p50Ms: rounded(wallMs?.p50),
      p95Ms: rounded(wallMs?.p95),
      speedup: rounded(speedup?.p50),
    };
  });
  return table(rows, ['pattern', 'runs', 'completed', 'failed', 'p50Ms', 'p95Ms', 'speedup', 'failures']);
}
