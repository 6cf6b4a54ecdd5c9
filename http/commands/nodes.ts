// `troupe nodes`: the nodes of the cluster that a running server belongs to.

import type { Command } from 'commander';
import { print, type Row, table } from './output.ts';
import { connect, type RemoteOptions, withRemoteOptions } from './remote.ts';

export function addNodesCommand(program: Command): void {
  withRemoteOptions(program.command('nodes'))
    .description('list the nodes of the cluster, their agents and the age of their heartbeat')
    .action(async (flags: RemoteOptions) => {
      const remote = await connect(flags);
      print(await remote.get('/api/agents/nodes'), flags.json, show);
    });
}

function show({ items }: { items: Row[] }): string {
  const rows = items.map((node) => ({
    ...node,
    self: node.self === true ? 'yes' : '',
    labels: Object.entries((node.labels ?? {}) as Record<string, string>)
      .map(([name, value]) => `${name}=${value}`)
      .join(','),
    heartbeatAgeMs: Math.round(Number(node.heartbeatAgeMs)),
  }));
  return table(rows, ['id', 'host', 'pid', 'state', 'self', 'labels', 'agents', 'heartbeatAgeMs']);
}
