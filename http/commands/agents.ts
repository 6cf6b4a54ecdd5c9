// `troupe agents`: create, read, list, remove, pause and talk to agents of a running server.

import type { Command } from 'commander';
import { fields, intArgument, jsonArgument, print, type Row, table } from './output.ts';
import { connect, type RemoteOptions, withRemoteOptions } from './remote.ts';

const BASE = '/api/agents';
const pathOf = (id: string): string => `${BASE}/${encodeURIComponent(id)}`;
const show = (agent: Row): string =>
  fields(agent, [
    'id',
    'name',
    'type',
    'state',
    'isolation',
    'node',
    'thread',
    'version',
    'reason',
    'labels',
    'requires',
    'waiting',
    'config',
  ]);

export function addAgentsCommand(program: Command): void {
  const agents = program.command('agents').description('agents of a running server');

  withRemoteOptions(agents.command('create'))
    .description('create an agent')
    .argument('<type>')
    .option('--name <name>')
    .option('--config <json>', 'JSON, @file, or - for standard input')
    .option('--capabilities <names>', 'only these of the type, comma separated')
    .option('--isolation <kind>', 'shared or dedicated')
    .option('--labels <json>', 'names with values that multicast selects by, like {"team":"red"}')
    .option('--requires <json>', 'labels its node must have, like {"gpu":"true"}')
    .action(async (type: string, flags: RemoteOptions & Record<string, string | undefined>) => {
      const remote = await connect(flags);
      const { name, isolation, config, capabilities, labels, requires } = flags;
      const body = {
        type,
        name,
        isolation,
        ...(config === undefined ? {} : { config: jsonArgument('--config', config) }),
        ...(labels === undefined ? {} : { labels: jsonArgument('--labels', labels) }),
        ...(requires === undefined ? {} : { requires: jsonArgument('--requires', requires) }),
        ...(capabilities === undefined ? {} : { capabilities: capabilities.split(',').map((part) => part.trim()) }),
      };
      print(await remote.send('POST', `${BASE}/create`, body), flags.json, show);
    });

  withRemoteOptions(agents.command('list'))
    .description('list agents')
    .option('--type <type>', 'only these')
    .option('--state <state>', 'only these')
    .option('--capability <name>', 'only these')
    .option('--limit <n>', 'items on a page')
    .option('--cursor <cursor>', 'the next page')
    .action(async (flags: RemoteOptions & Record<string, string | undefined>) => {
      const remote = await connect(flags);
      const { type, state, capability, limit, cursor } = flags;
      print(await remote.get(`${BASE}/list`, { type, state, capability, limit, cursor }), flags.json, pageText);
    });

  withRemoteOptions(agents.command('get'))
    .description('show an agent')
    .argument('<id>', 'id or name')
    .action(async (id: string, flags: RemoteOptions) => {
      const remote = await connect(flags);
      print(await remote.get(pathOf(id)), flags.json, show);
    });

  withRemoteOptions(agents.command('delete'))
    .description('remove an agent; its running task is finished first')
    .argument('<id>', 'id or name')
    .option('--force', 'give the running task to others at once')
    .option('--timeout-ms <n>', 'longest drain', intArgument('--timeout-ms'))
    .action(async (id: string, flags: RemoteOptions & { force?: boolean; timeoutMs?: number }) => {
      const remote = await connect(flags);
      const limit = flags.timeoutMs === undefined ? '' : `&timeoutMs=${flags.timeoutMs}`;
      const report = await remote.send('DELETE', `${pathOf(id)}?mode=${flags.force ? 'force' : 'drain'}${limit}`);
      print(report, flags.json, (value: Row) =>
        fields(value, ['id', 'mode', 'tasksReassigned', 'messagesDeadLettered', 'afterMs']),
      );
    });

  for (const [name, about] of [
    ['pause', 'take no new tasks after the running one'],
    ['resume', 'take tasks again'],
  ] as const) {
    withRemoteOptions(agents.command(name))
      .description(about)
      .argument('<id>', 'id or name')
      .action(async (id: string, flags: RemoteOptions) => {
        const remote = await connect(flags);
        print(await remote.send('POST', `${pathOf(id)}/${name}`), flags.json, show);
      });
  }

  withRemoteOptions(agents.command('send'))
    .description('send a message to an agent')
    .argument('<id>', 'id or name')
    .argument('<type>', 'type of the message')
    .option('--body <json>', 'JSON, @file, or - for standard input')
    .option('--ask', 'wait for the reply')
    .option('--timeout-ms <n>', 'of an ask', intArgument('--timeout-ms'))
    .action(
      async (id: string, type: string, flags: RemoteOptions & { body?: string; ask?: boolean; timeoutMs?: number }) => {
        const remote = await connect(flags);
        const message = {
          type,
          mode: flags.ask ? 'ask' : 'tell',
          timeoutMs: flags.timeoutMs,
          ...(flags.body === undefined ? {} : { body: jsonArgument('--body', flags.body) }),
        };
        print(await remote.send('POST', `${pathOf(id)}/messages`, message), flags.json, (value: Row) =>
          flags.ask ? JSON.stringify(value.reply) : `${value.outcome} via ${value.via}`,
        );
      },
    );

  withRemoteOptions(agents.command('types'))
    .description('list the types of agents')
    .action(async (flags: RemoteOptions) => {
      const remote = await connect(flags);
      print(await remote.get(`${BASE}/types`), flags.json, ({ items }: { items: Row[] }) =>
        table(
          items.map((entry) => ({
            ...entry,
            capabilities: (entry.capabilities as { name: string; version: number }[])
              .map(({ name, version }) => `${name}@${version}`)
              .join(' '),
          })),
          ['type', 'active', 'capabilities'],
        ),
      );
    });

  withRemoteOptions(agents.command('register'))
    .description('activate a type of the manifest')
    .argument('<type>')
    .action(async (type: string, flags: RemoteOptions) => {
      const remote = await connect(flags);
      const entry = await remote.send('POST', `${BASE}/types/${encodeURIComponent(type)}/register`);
      print(entry, flags.json, (value: Row) => fields(value, ['type', 'active', 'defHash']));
    });
}

function pageText({ items, nextCursor }: { items: Row[]; nextCursor: string | null }): string {
  const rows = table(items, ['id', 'name', 'type', 'state', 'thread']);
  return nextCursor === null ? rows : `${rows}\nmore: --cursor ${nextCursor}`;
}
