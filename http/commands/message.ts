// `troupe message`: send by all five protocols, subscribe, read what was counted, read letters and send them again.

import type { Command } from 'commander';
import { UsageError } from './failure.ts';
import { fields, intArgument, jsonArgument, print, type Row, table } from './output.ts';
import { connect, type RemoteOptions, withRemoteOptions } from './remote.ts';

const BASE = '/api/agents/messages';
const LETTERS = '/api/agents/dead-letters';
type Flags = RemoteOptions & { readonly body?: string; readonly key?: string; readonly durable?: boolean };

const sentText = (value: Row): string =>
  'reply' in value
    ? JSON.stringify(value.reply)
    : fields(value, ['outcome', 'via', 'attempted', 'filtered', 'viewId', 'messageId']);
const bodyOf = ({ body, durable }: Flags): Row => ({
  ...(body === undefined ? {} : { body: jsonArgument('--body', body) }),
  ...(durable ? { durable } : {}),
});

export function addMessageCommand(program: Command): void {
  const message = program.command('message').description('messages of a running server, by five protocols');
  addSending(message);
  addSubscriptions(message);
  addLetters(message);

  withRemoteOptions(message.command('statistics'))
    .description('what the server has counted since it began')
    .action(async (flags: RemoteOptions) => {
      const remote = await connect(flags);
      print(await remote.get(`${BASE}/statistics`), flags.json, (value: Row) => fields(value, Object.keys(value)));
    });

  withRemoteOptions(message.command('offers'))
    .description('which agents offer a capability and take work now')
    .argument('<capability>', 'like document.search or document.search@1')
    .action(async (capability: string, flags: RemoteOptions) => {
      const remote = await connect(flags);
      const offers = await remote.get(`/api/agents/capabilities/${encodeURIComponent(capability)}`);
      print(offers, flags.json, ({ agents }: { agents: string[] }) => agents.join('\n') || 'none');
    });
}

function addSending(message: Command): void {
  const sending = (name: string, target: string, about: string) =>
    withRemoteOptions(message.command(name))
      .description(about)
      .argument(`<${target}>`)
      .argument('<type>', 'type of the message')
      .option('--body <json>', 'JSON, @file, or - for standard input')
      .option('--key <key>', 'idempotency key: the same message is sent once')
      .option('--durable', 'kept until it is handled, at least once');
  const send = async (flags: Flags, envelope: Row): Promise<void> => {
    const remote = await connect(flags);
    const headers = flags.key === undefined ? {} : { 'idempotency-key': flags.key };
    print(await remote.send('POST', `${BASE}/send`, { ...envelope, ...bodyOf(flags) }, headers), flags.json, sentText);
  };

  sending('tell', 'agent', 'to one agent (id or name)').action((to: string, type: string, flags: Flags) =>
    send(flags, { protocol: 'direct', to, type }),
  );
  sending('ask', 'agent', 'to one agent, and print its reply')
    .option('--timeout-ms <n>', 'default 5000', intArgument('--timeout-ms'))
    .option('--correlation <id>', 'asked again with it, the first reply is given again')
    .action((to: string, type: string, flags: Flags & { timeoutMs?: number; correlation?: string }) =>
      send(flags, {
        protocol: 'request-response',
        to,
        type,
        timeoutMs: flags.timeoutMs,
        correlationId: flags.correlation,
      }),
    );
  sending('broadcast', 'channel', 'to every member of a channel').action(
    (channel: string, type: string, flags: Flags) => send(flags, { protocol: 'broadcast', channel, type }),
  );
  sending('publish', 'topic', 'to every agent whose subscription fits').action(
    (topic: string, type: string, flags: Flags) => send(flags, { protocol: 'publish-subscribe', topic, type }),
  );
  withRemoteOptions(message.command('multicast'))
    .description('to every agent for which all of these hold')
    .argument('<type>', 'type of the message')
    .option('--ids <ids>', 'comma separated')
    .option('--agent-type <type>', 'of this type')
    .option('--capability <name>', 'that offer it')
    .option('--label <name=value...>', 'that have it')
    .option('--group <name>', 'that are in this group')
    .option('--body <json>', 'JSON, @file, or - for standard input')
    .option('--key <key>', 'idempotency key: the same message is sent once')
    .option('--durable', 'kept until it is handled, at least once')
    .action((type: string, flags: Flags & SelectorFlags) =>
      send(flags, { protocol: 'multicast', select: selectorOf(flags), type }),
    );
}

interface SelectorFlags {
  readonly ids?: string;
  readonly agentType?: string;
  readonly capability?: string;
  readonly label?: readonly string[];
  readonly group?: string;
}

function selectorOf({ ids, agentType, capability, label, group }: SelectorFlags): Row {
  const labels = label?.map((text) => {
    const at = text.indexOf('=');
    if (at < 1) throw new UsageError(`--label takes name=value, not ${JSON.stringify(text)}`);
    return [text.slice(0, at), text.slice(at + 1)] as const;
  });
  return {
    ...(ids === undefined ? {} : { ids: ids.split(',').map((part) => part.trim()) }),
    ...(agentType === undefined ? {} : { type: agentType }),
    ...(capability === undefined ? {} : { capability }),
    ...(labels === undefined ? {} : { label: Object.fromEntries(labels) }),
    ...(group === undefined ? {} : { group }),
  };
}

function addSubscriptions(message: Command): void {
  const columns = ['agentId', 'topic', 'type', 'where', 'since'];
  for (const [name, about] of [
    ['subscribe', 'subscribe an agent to topics (orders.*, orders.**), to a type of messages, or to both'],
    ['unsubscribe', 'end a subscription'],
  ] as const) {
    const command = withRemoteOptions(message.command(name))
      .description(about)
      .argument('<agent>', 'id or name')
      .option('--topic <pattern>')
      .option('--type <type>', 'type of the messages');
    if (name === 'subscribe') command.option('--where <json>', 'only messages for which this condition holds');
    command.action(async (agent: string, flags: RemoteOptions & { topic?: string; type?: string; where?: string }) => {
      const remote = await connect(flags);
      const { topic, type, where } = flags;
      const condition = where === undefined ? {} : { where: jsonArgument('--where', where) };
      const answer = await remote.send('POST', `${BASE}/${name}`, { agent, topic, type, ...condition });
      print(answer, flags.json, (value: Row) => fields(value, [...columns, 'ended']));
    });
  }
  withRemoteOptions(message.command('subscriptions'))
    .description('list subscriptions')
    .option('--agent <id>', 'only of this agent (id or name)')
    .action(async (flags: RemoteOptions & { agent?: string }) => {
      const remote = await connect(flags);
      const page = await remote.get(`${BASE}/subscriptions`, { agent: flags.agent });
      print(page, flags.json, ({ items }: { items: Row[] }) => table(items, columns));
    });
}

function addLetters(message: Command): void {
  withRemoteOptions(message.command('dead-letters'))
    .description('messages that nobody took, newest first')
    .option('--to <id>', 'only to this addressee')
    .option('--reason <reason>', 'only for this reason')
    .option('--limit <n>', 'items on a page')
    .option('--cursor <cursor>', 'the next page')
    .action(async (flags: RemoteOptions & Record<string, string | undefined>) => {
      const remote = await connect(flags);
      const { to, reason, limit, cursor } = flags;
      print(await remote.get(LETTERS, { to, reason, limit, cursor }), flags.json, pageText);
    });
  withRemoteOptions(message.command('dead-letter'))
    .description('show a letter')
    .argument('<id>')
    .action(async (id: string, flags: RemoteOptions) => {
      const remote = await connect(flags);
      print(await remote.get(`${LETTERS}/${encodeURIComponent(id)}`), flags.json, (value: Row) =>
        fields(value, ['id', 'reason', 'to', 'from', 'type', 'body', 'replays']),
      );
    });
  withRemoteOptions(message.command('replay'))
    .description('send a letter to its addressee again, three times at most')
    .argument('<id>')
    .action(async (id: string, flags: RemoteOptions) => {
      const remote = await connect(flags);
      const answer = await remote.send('POST', `${LETTERS}/${encodeURIComponent(id)}/replay`);
      print(answer, flags.json, (value: Row) => fields(value, ['id', 'replays', 'result']));
    });
}

function pageText({ items, nextCursor }: { items: Row[]; nextCursor: string | null }): string {
  const rows = table(items, ['id', 'reason', 'to', 'from', 'type', 'replays']);
  return nextCursor === null ? rows : `${rows}\nmore: --cursor ${nextCursor}`;
}
