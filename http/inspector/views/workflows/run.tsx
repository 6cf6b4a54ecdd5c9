// One workflow: how it stands, what may be done to it, and its sides: graph, tries over time, picture of its pattern, decisions, result, past.

import type { WorkflowView } from '../../../../runtime/contracts/workflow.ts';
import { useAgentNames } from '../../data/agent-names.ts';
import { href } from '../../router.ts';
import { StateBadge } from '../../ui/badge.tsx';
import { clock, count, duration, shortId } from '../../ui/format.ts';
import { Meter, Stat } from '../../ui/panel.tsx';
import { ApiProblem, Loading, Stale } from '../../ui/states.tsx';
import { Tabs } from '../../ui/tabs.tsx';
import type { ViewProps } from '../view.ts';
import { RunActions } from './actions.tsx';
import { Attempts } from './attempts.tsx';
import { Decisions } from './decisions.tsx';
import { GraphTab } from './graph-tab.tsx';
import { OpenInputs } from './inputs.tsx';
import { Past } from './past.tsx';
import { Picture, pictureTitle } from './pictures/picture.tsx';
import { Result } from './result.tsx';
import { hasEnded, useRun, useSteps } from './run-data.ts';

export function Run({ id, query }: { readonly id: string; readonly query: ViewProps['query'] }) {
  const { data: run, error, refresh } = useRun(id);
  if (run === undefined)
    return error ? <ApiProblem error={error} retry={() => void refresh()} /> : <Loading what="workflow" />;
  return (
    <>
      <Stale error={error} />
      <Head run={run} refresh={refresh} />
      <Figures run={run} />
      {run.error ? (
        <p class="run-error" role="status">
          <strong>{run.error.code}</strong> {run.error.message}
        </p>
      ) : null}
      {hasEnded(run) ? null : <OpenInputs run={run} />}
      <Sides run={run} query={query} refresh={refresh} />
    </>
  );
}

function Head({ run, refresh }: { readonly run: WorkflowView; readonly refresh: () => Promise<void> }) {
  const { name, id, status, pattern, stopReason, parent, forkOf } = run;
  return (
    <div class="view-head">
      <h1>{name}</h1>
      <StateBadge state={status} />
      <span class="muted">
        {pattern}
        {stopReason === null ? '' : `, ${stopReason.replaceAll('_', ' ')}`}
      </span>
      <code class="muted" title={id}>
        {shortId(id)}
      </code>
      {parent ? (
        <a href={href(['workflows', parent.workflowId], { step: parent.step })}>step {parent.step} of its parent</a>
      ) : null}
      {forkOf ? (
        <a href={href(['workflows', forkOf.workflowId])}>
          forked{forkOf.fromStep === null ? '' : ` from ${forkOf.fromStep}`}
        </a>
      ) : null}
      <span class="grow" />
      <RunActions run={run} refresh={refresh} />
    </div>
  );
}

function Figures({ run: { progress, metrics, startedAt, budget } }: { readonly run: WorkflowView }) {
  const { done, total } = progress;
  return (
    <div class="stats">
      <Stat
        label="Progress"
        value={`${count(done)} of ${count(total)}`}
        note={<Meter part={total === 0 ? 0 : done / total} label={`${done} of ${total} done`} />}
      />
      <Stat
        label="Wall time"
        value={duration(metrics?.wallMs)}
        note={startedAt === null ? 'not started' : `since ${clock(startedAt)}`}
      />
      <Stat label="Work" value={duration(metrics?.workMs)} note="all tries together" />
      <Stat
        label="Critical path"
        value={duration(metrics?.criticalPathMs)}
        note={metrics?.bottleneck ? `longest: ${metrics.bottleneck}` : undefined}
      />
      <Stat
        label="Speed-up"
        value={metrics ? `${metrics.speedup.toFixed(1)} ×` : '–'}
        note={metrics?.amdahl ? `at most ${metrics.amdahl.maxSpeedup.toFixed(1)} ×` : undefined}
      />
      <Stat label="Coordination" value={duration(metrics?.overheadMs)} note="beyond the critical path" />
      {budget ? <BudgetStat budget={budget} /> : null}
    </div>
  );
}

function BudgetStat({ budget: { limits, used, reserved } }: { readonly budget: NonNullable<WorkflowView['budget']> }) {
  const measures = (['tokens', 'cost', 'calls', 'messages'] as const).filter((name) => limits[name] !== undefined);
  const parts = measures.map((name) => ({ name, part: (used[name] ?? 0) / Math.max(1e-9, limits[name] ?? 0) }));
  const tightest = parts.sort((a, b) => b.part - a.part)[0];
  if (!tightest) return null;
  const { name, part } = tightest;
  const held = reserved[name] ?? 0;
  return (
    <Stat
      label={`Budget: ${name}`}
      value={`${count(used[name] ?? 0)} of ${count(limits[name])}`}
      note={
        held > 0 ? (
          `${count(held)} more reserved`
        ) : (
          <Meter part={part} tone={part > 0.9 ? 'bad' : 'busy'} label="used" />
        )
      }
      {...(part > 0.9 ? { tone: 'bad' as const } : {})}
    />
  );
}

interface SidesProps {
  readonly run: WorkflowView;
  readonly query: ViewProps['query'];
  readonly refresh: () => Promise<void>;
}

function Sides({ run, query, refresh }: SidesProps) {
  const steps = useSteps(run);
  const names = useAgentNames();
  const tabs = [
    {
      id: 'graph',
      title: 'Graph',
      content: () => <GraphTab run={run} steps={steps} names={names} chosen={query.step} refresh={refresh} />,
    },
    {
      id: 'picture',
      title: pictureTitle(run.pattern),
      content: () => <Picture pattern={run.pattern} picture={run.picture} steps={steps.items} names={names} />,
    },
    {
      id: 'attempts',
      title: 'Over time',
      content: () => <Attempts run={run} steps={steps.items} names={names} query={query} />,
    },
    { id: 'decisions', title: 'Decisions', content: () => <Decisions run={run} names={names} kind={query.kind} /> },
    { id: 'result', title: 'Result', content: () => <Result run={run} /> },
    { id: 'past', title: 'Past', content: () => <Past run={run} names={names} at={query.at} /> },
  ];
  return (
    <div class="run-sides">
      <Tabs label="Sides of the workflow" tabs={tabs} />
    </div>
  );
}
