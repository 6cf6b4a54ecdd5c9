// What an agent has, had and said, as tables: mail that waits, messages, transitions, log lines.

import type { InspectedAgent, MessageRecord } from '../../../../runtime/contracts/inspection.ts';
import { href } from '../../router.ts';
import { StateBadge, type Tone } from '../../ui/badge.tsx';
import { bytes, clock, count, shortId } from '../../ui/format.ts';
import { Empty } from '../../ui/states.tsx';
import { type Column, DataTable } from '../../ui/table.tsx';

function AgentLink({ id }: { readonly id: string | null }) {
  if (id === null) return <span class="muted">outside</span>;
  return (
    <a href={href(['agents', id])} title={id}>
      {shortId(id)}
    </a>
  );
}

type Waiting = InspectedAgent['mailbox']['first'][number];

const MAIL: readonly Column<Waiting>[] = [
  { key: 'type', title: 'Type', cell: ({ type }) => <code>{type}</code> },
  { key: 'from', title: 'From', cell: ({ from }) => <AgentLink id={from} /> },
  { key: 'protocol', title: 'Protocol', cell: ({ protocol }) => protocol, wide: true },
  {
    key: 'correlation',
    title: 'Correlation',
    cell: ({ correlation }) => <code>{correlation ?? '–'}</code>,
    wide: true,
  },
];

export function Mailbox({ mailbox }: { readonly mailbox: InspectedAgent['mailbox'] }) {
  return (
    <>
      <DataTable
        label="Messages that wait"
        rows={mailbox.first}
        columns={MAIL}
        rowKey={({ messageId }) => messageId}
        empty={
          <Empty title="Nothing waits">Messages that came and are not handled yet are listed here, oldest first.</Empty>
        }
      />
      {mailbox.waiting > mailbox.first.length ? (
        <p class="muted">
          The oldest {count(mailbox.first.length)} of {count(mailbox.waiting)}.
        </p>
      ) : null}
    </>
  );
}

const MESSAGES: readonly Column<MessageRecord>[] = [
  { key: 'at', title: 'At', width: '90px', cell: ({ atMs }) => clock(atMs) },
  { key: 'kind', title: 'Kind', width: '80px', cell: ({ kind }) => kind, wide: true },
  { key: 'type', title: 'Type', cell: ({ type }) => <code>{type}</code> },
  { key: 'from', title: 'From', cell: ({ from }) => <AgentLink id={from} />, width: '140px' },
  { key: 'to', title: 'To', cell: ({ to }) => <AgentLink id={to} />, width: '140px', wide: true },
  { key: 'via', title: 'Via', width: '120px', cell: ({ via }) => via, wide: true },
  { key: 'bytes', title: 'Size', width: '80px', numeric: true, cell: (message) => bytes(message.bytes), wide: true },
];

export function Messages({ data }: { readonly data: InspectedAgent }) {
  return (
    <>
      <p class="muted agent-note">
        {data.recordedSince === null
          ? 'Recording begins now.'
          : `Recorded since ${clock(data.recordedSince)}, newest first; recording ends a minute after the last look.`}{' '}
        <a href={href(['messages'], { agent: data.agent.id })}>Follow them in a diagram</a>
      </p>
      <DataTable
        label="Last messages"
        rows={data.messages.toReversed()}
        columns={MESSAGES}
        rowKey={({ node, thread, seq }) => `${node}/${thread}/${seq}`}
        empty={<Empty title="No messages yet">Tasks are no messages: they are in its history of tasks.</Empty>}
      />
    </>
  );
}

type Transition = InspectedAgent['transitions'][number];

const TRANSITIONS: readonly Column<Transition>[] = [
  { key: 'at', title: 'At', width: '90px', cell: ({ at }) => clock(at) },
  { key: 'to', title: 'To', width: '120px', cell: ({ to }) => <StateBadge state={to} /> },
  {
    key: 'cause',
    title: 'Because',
    cell: ({ cause, error }) => <span title={error}>{error ? `${cause}: ${error}` : cause}</span>,
  },
  { key: 'thread', title: 'Thread', width: '70px', numeric: true, cell: ({ thread }) => thread ?? '–', wide: true },
];

export function Transitions({ items }: { readonly items: readonly Transition[] }) {
  const rows = items.map((item, index) => ({ ...item, key: `${item.at}/${index}` })).reverse();
  return (
    <div class="agent-transitions">
      <DataTable
        label="Transitions"
        rows={rows}
        columns={TRANSITIONS as readonly Column<(typeof rows)[number]>[]}
        rowKey={({ key }) => key}
        empty={<Empty title="None seen by this node yet" />}
      />
    </div>
  );
}

const LEVELS: Readonly<Record<string, Tone>> = { debug: 'calm', info: 'calm', warn: 'warn', error: 'bad' };

export function Log({ items }: { readonly items: InspectedAgent['log'] }) {
  if (items.length === 0)
    return (
      <Empty title="No log lines yet">What its handlers log (ctx.log) appears here, the last hundred lines.</Empty>
    );
  return (
    <ol class="log">
      {items.toReversed().map((line, index) => (
        <li key={`${line.at}/${items.length - index}`}>
          <time class="muted" dateTime={line.at}>
            {clock(line.at)}
          </time>
          <StateBadge state={line.level} tone={LEVELS[line.level] ?? 'calm'} />
          <span>{line.message}</span>
          {line.fields && Object.keys(line.fields).length > 0 ? (
            <code class="muted">{JSON.stringify(line.fields)}</code>
          ) : null}
        </li>
      ))}
    </ol>
  );
}
