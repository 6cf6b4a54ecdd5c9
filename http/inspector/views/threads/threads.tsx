// Threads and nodes: how busy each event loop is, its heap, its agents; a CPU profile when asked for; the configuration they run with.

import type { InspectThreads, ThreadDeath, ThreadFigures } from '../../../../runtime/contracts/inspection.ts';
import { figureHistory } from '../../data/figures.ts';
import { useResource } from '../../data/resource.ts';
import { mayAdminister } from '../../data/session.ts';
import { setQuery } from '../../router.ts';
import { StateBadge } from '../../ui/badge.tsx';
import { bytes, clock, count, duration, percent, short, shortId } from '../../ui/format.ts';
import { Meter, Panel } from '../../ui/panel.tsx';
import { type Line, Series } from '../../ui/series.tsx';
import { ApiProblem, Empty, Loading, Stale } from '../../ui/states.tsx';
import { type Column, DataTable } from '../../ui/table.tsx';
import { Tabs } from '../../ui/tabs.tsx';
import type { ViewProps } from '../view.ts';
import { Configuration } from './configuration.tsx';
import { Nodes } from './nodes.tsx';
import { Profile } from './profile.tsx';
import './threads.css';

export function Threads({ query }: ViewProps) {
  return (
    <>
      <div class="view-head">
        <h1>Threads and nodes</h1>
      </div>
      <Tabs
        label="Threads and nodes"
        tabs={[
          { id: 'threads', title: 'Threads', content: () => <ThreadList profiled={query.profile} /> },
          { id: 'nodes', title: 'Nodes', content: () => <Nodes /> },
          { id: 'configuration', title: 'Configuration', content: () => <Configuration text={query.q ?? ''} /> },
        ]}
      />
    </>
  );
}

const threadKey = ({ node, thread }: Pick<ThreadFigures, 'node' | 'thread'>): string => `${node}/${thread}`;
const threadName = (thread: number): string => (thread === 0 ? 'main' : `thread ${thread}`);

function ThreadList({ profiled }: { readonly profiled: string | undefined }) {
  const resource = useResource<InspectThreads>(
    '/api/inspect/threads',
    {},
    { everyMs: 10_000, on: ['thread.up', 'thread.down', 'thread.stuck'] },
  );
  const { data, error } = resource.state.value;
  if (!data)
    return error ? <ApiProblem error={error} retry={() => void resource.refresh()} /> : <Loading what="threads" />;
  const last = figureHistory.value.at(-1)?.threads ?? [];
  const rows = freshest(data.items, last);
  const chosen = rows.find((row) => threadKey(row) === profiled);
  return (
    <>
      <Stale error={error} />
      <DataTable
        label="Threads"
        rows={rows}
        columns={COLUMNS}
        rowKey={threadKey}
        isOpen={(row) => row === chosen}
        {...(mayAdminister.value ? { onOpen: (row: ThreadFigures) => setQuery({ profile: threadKey(row) }) } : {})}
        empty={<Empty title="No threads">They are being started, or the node drains.</Empty>}
      />
      <div class="columns">
        <Panel title="Event loops">
          <LoopHistory rows={rows} />
        </Panel>
        <Panel title="Threads that died" flush>
          <Deaths deaths={data.deaths} />
        </Panel>
      </div>
      {mayAdminister.value ? (
        chosen ? (
          <Profile key={threadKey(chosen)} node={chosen.node} thread={chosen.thread} name={threadName(chosen.thread)} />
        ) : (
          <p class="muted threads-note">Choose a thread to take a CPU profile of it.</p>
        )
      ) : (
        <p class="muted threads-note">A CPU profile needs an admin.</p>
      )}
    </>
  );
}

/** The list as it was read, with the figures of the last second. */
function freshest(items: readonly ThreadFigures[], last: readonly ThreadFigures[]): readonly ThreadFigures[] {
  const newer = new Map(last.map((one) => [threadKey(one), one]));
  const known = new Set(items.map(threadKey));
  return [...items.map((one) => newer.get(threadKey(one)) ?? one), ...last.filter((one) => !known.has(threadKey(one)))];
}

const COLUMNS: readonly Column<ThreadFigures>[] = [
  {
    key: 'thread',
    title: 'Thread',
    cell: (row) =>
      mayAdminister.value ? (
        <button type="button" class="link" onClick={() => setQuery({ profile: threadKey(row) })}>
          {threadName(row.thread)}
        </button>
      ) : (
        threadName(row.thread)
      ),
    sort: ({ thread }) => thread,
  },
  {
    key: 'node',
    title: 'Node',
    width: '130px',
    cell: ({ node }) => <code title={node}>{shortId(node)}</code>,
    sort: ({ node }) => node,
    wide: true,
  },
  {
    key: 'state',
    title: 'State',
    width: '84px',
    cell: ({ liveness }) => <StateBadge state={liveness} />,
    sort: ({ liveness }) => liveness,
  },
  {
    key: 'loop',
    title: 'Event loop',
    width: '118px',
    cell: ({ utilization }) => (
      <span class="gauge">
        <Meter part={utilization} tone={utilization > 0.9 ? 'bad' : utilization > 0.7 ? 'warn' : 'busy'} label="busy" />
        <span>{percent(utilization)}</span>
      </span>
    ),
    sort: ({ utilization }) => utilization,
  },
  {
    key: 'heap',
    title: 'Heap',
    width: '200px',
    cell: ({ heapBytes, heapLimitBytes }) => (
      <span class="gauge" title={heapLimitBytes === null ? undefined : `of ${bytes(heapLimitBytes)}`}>
        <Meter
          part={heapLimitBytes === null ? 0 : heapBytes / heapLimitBytes}
          tone={heapLimitBytes !== null && heapBytes > heapLimitBytes * 0.85 ? 'bad' : 'busy'}
          label="of its limit"
        />
        <span>{bytes(heapBytes)}</span>
      </span>
    ),
    sort: ({ heapBytes }) => heapBytes,
    wide: true,
  },
  {
    key: 'agents',
    title: 'Agents',
    width: '68px',
    numeric: true,
    cell: ({ agents }) => count(agents),
    sort: ({ agents }) => agents,
  },
  {
    key: 'mailbox',
    title: 'Mail',
    width: '70px',
    numeric: true,
    cell: ({ mailbox }) => count(mailbox),
    sort: ({ mailbox }) => mailbox,
    wide: true,
  },
  {
    key: 'in',
    title: 'In/s',
    width: '70px',
    numeric: true,
    cell: ({ inPerSecond }) => short(inPerSecond),
    sort: ({ inPerSecond }) => inPerSecond,
    wide: true,
  },
  {
    key: 'out',
    title: 'Out/s',
    width: '70px',
    numeric: true,
    cell: ({ outPerSecond }) => short(outPerSecond),
    sort: ({ outPerSecond }) => outPerSecond,
    wide: true,
  },
  {
    key: 'beat',
    title: 'Beat',
    width: '90px',
    numeric: true,
    cell: ({ lastBeatAgoMs }) => `${duration(lastBeatAgoMs)}`,
    sort: ({ lastBeatAgoMs }) => lastBeatAgoMs,
    wide: true,
  },
];

const COLOURS = ['--accent', '--good', '--warn', '--bad', '--muted', '--line-strong'];
const MOST_LINES = 6;

function LoopHistory({ rows }: { readonly rows: readonly ThreadFigures[] }) {
  const history = figureHistory.value;
  if (history.length < 2) return <p class="muted">Gathering figures: one comes each second.</p>;
  const shown = rows
    .toSorted((a, b) => b.utilization - a.utilization)
    .slice(0, MOST_LINES)
    .map(threadKey)
    .toSorted();
  const lines = shown.map((key, index): Line => {
    const values = history.map(({ threads }) => threads.find((one) => threadKey(one) === key)?.utilization ?? null);
    return { label: threadName(Number(key.split('/')[1])), colour: COLOURS[index] ?? '--muted', values };
  });
  return (
    <Series
      label={rows.length > MOST_LINES ? 'The busiest' : 'Use'}
      times={history.map(({ at }) => at)}
      format={percent}
      lines={lines}
    />
  );
}

const DEATHS: readonly Column<ThreadDeath>[] = [
  { key: 'at', title: 'At', width: '90px', cell: ({ at }) => clock(at) },
  { key: 'thread', title: 'Thread', width: '90px', cell: ({ thread }) => threadName(thread) },
  {
    key: 'reason',
    title: 'Reason',
    cell: ({ reason, error }) => <span title={error}>{error ? `${reason}: ${error}` : reason}</span>,
  },
  { key: 'agents', title: 'Agents', width: '80px', numeric: true, cell: ({ agents }) => count(agents) },
  {
    key: 'seen',
    title: 'Seen after',
    width: '100px',
    numeric: true,
    cell: ({ detectedAfterMs }) => duration(detectedAfterMs),
    wide: true,
  },
];

function Deaths({ deaths }: { readonly deaths: readonly ThreadDeath[] }) {
  return (
    <DataTable
      label="Threads that died"
      rows={deaths}
      columns={DEATHS}
      rowKey={({ node, thread, at }) => `${node}/${thread}/${at}`}
      empty={
        <Empty title="None since the start">
          A thread that dies is replaced, and its agents start again elsewhere.
        </Empty>
      }
    />
  );
}
