// `troupe status`: how a running server is.

import type { Command } from 'commander';
import { fields, print, type Row, table } from './output.ts';
import { connect, type RemoteOptions, withRemoteOptions } from './remote.ts';

export function addStatusCommand(program: Command): void {
  withRemoteOptions(program.command('status'))
    .description('show how a running server is')
    .action(async (flags: RemoteOptions) => {
      const remote = await connect(flags);
      print(await remote.get('/api/agents/status'), flags.json, show);
    });
}

function show(status: Row): string {
  const { total, byState } = status.agents as { total: number; byState: Row };
  const { byState: tasks, queues } = status.tasks as { byState: Row; queues: Row[] };
  return [
    fields({ ...status, agents: total, 'by state': byState, tasks: open(tasks), dependencies: up(status) }, [
      'status',
      'version',
      'node',
      'uptimeMs',
      'agents',
      'by state',
      'tasks',
      'dependencies',
    ]),
    `\nthreads\n${table(status.threads as Row[], ['thread', 'liveness', 'cells', 'utilization', 'heapBytes'])}`,
    `\nqueues\n${table(queues, ['queue', 'queued', 'oldestMs'])}`,
  ].join('\n');
}

function open(byState: Row): Row {
  return Object.fromEntries(Object.entries(byState).filter(([, count]) => count !== 0));
}

function up(status: Row): Row {
  const dependencies = status.dependencies as Record<string, { status: string }>;
  return Object.fromEntries(Object.entries(dependencies).map(([name, { status: state }]) => [name, state]));
}
