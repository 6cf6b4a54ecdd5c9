// History: the event log over time, from the database. A slider stands at a moment: what was open then, and what had happened before it.

import { useSignal } from '@preact/signals';
import { useRef } from 'preact/hooks';
import type { RuntimeEvent } from '../../../../runtime/contracts/event.ts';
import type { HistoryMoment, HistoryPage, HistoryTimeline } from '../../../../runtime/contracts/history.ts';
import { useAgentNames } from '../../data/agent-names.ts';
import { api } from '../../data/client.ts';
import { useResource } from '../../data/resource.ts';
import { href, setQuery } from '../../router.ts';
import { StateBadge } from '../../ui/badge.tsx';
import { Choice } from '../../ui/choice.tsx';
import { brief, clockMs } from '../../ui/figures.ts';
import { count, dateTime, plural, shortId } from '../../ui/format.ts';
import '../../ui/lists.css';
import { Stat } from '../../ui/panel.tsx';
import { ApiProblem, Empty, Loading, Stale } from '../../ui/states.tsx';
import { type Column, DataTable } from '../../ui/table.tsx';
import type { ViewProps } from '../view.ts';
import { type Bar, barsOf, eventTone, momentWithin, WINDOWS } from './moments.ts';
import './history.css';

const KINDS = ['task', 'agent', 'workflow', 'node'];
const BARS = 90;
const EVENTS = 200;

export function History({ query }: ViewProps) {
  const span = WINDOWS.find(({ id }) => id === query.span) ?? WINDOWS[1];
  // The window ends now, or where the address says: then it is the same for whoever it is given to.
  const opened = useRef(Date.now());
  const toMs = query.until === undefined ? opened.current : momentWithin(query.until, 0, Date.now() + 1_000);
  const fromMs = toMs - span.ms;
  const atMs = momentWithin(query.at, fromMs, toMs);
  const edges = { from: new Date(fromMs).toISOString(), to: new Date(toMs).toISOString() };
  const { data: timeline, error } = useResource<HistoryTimeline>('/api/agents/history/timeline', {
    ...edges,
    buckets: BARS,
  }).state.value;
  const move = (ms: number): void => setQuery({ at: new Date(ms).toISOString(), until: new Date(toMs).toISOString() });
  const shift = (ms: number): void => {
    const until = Math.min(Date.now(), toMs + ms);
    setQuery({ until: new Date(until).toISOString(), at: undefined });
  };
  const now = (): void => {
    opened.current = Date.now();
    setQuery({ until: undefined, at: undefined });
  };
  return (
    <>
      <div class="view-head">
        <h1>History</h1>
        <span class="grow" />
        <button type="button" onClick={() => shift(-span.ms)}>
          Earlier
        </button>
        <button type="button" onClick={() => shift(span.ms)} disabled={Date.now() - toMs < 1_000}>
          Later
        </button>
        <button type="button" onClick={now}>
          Now
        </button>
      </div>
      <search class="filters">
        <label>
          The last
          <select
            value={span.id}
            onChange={(event) =>
              setQuery({
                span: event.currentTarget.value === '1h' ? undefined : event.currentTarget.value,
                at: undefined,
              })
            }
          >
            {WINDOWS.map(({ id, title }) => (
              <option key={id} value={id}>
                {title}
              </option>
            ))}
          </select>
        </label>
        <Choice label="Of" name="kind" of={KINDS} value={query.kind} />
        <Choice label="Event" name="type" of={timeline ? typesOf(timeline) : []} value={query.type} />
      </search>
      {timeline ? (
        <Timeline
          bars={barsOf(timeline)}
          bucketMs={timeline.bucketMs}
          atMs={atMs}
          fromMs={fromMs}
          toMs={toMs}
          move={move}
        />
      ) : error ? (
        <ApiProblem error={error} />
      ) : (
        <Loading what="timeline" />
      )}
      <Moment atMs={atMs} />
      <Log from={edges.from} atMs={atMs} query={query} />
    </>
  );
}

const typesOf = ({ buckets }: HistoryTimeline): readonly string[] =>
  [...new Set(buckets.flatMap(({ counts }) => Object.keys(counts)))].sort();

interface TimelineProps {
  readonly bars: readonly Bar[];
  readonly bucketMs: number;
  readonly atMs: number;
  readonly fromMs: number;
  readonly toMs: number;
  readonly move: (ms: number) => void;
}

const HIGH = 64;

function Timeline({ bars, bucketMs, atMs, fromMs, toMs, move }: TimelineProps) {
  const most = Math.max(1, ...bars.map(({ total }) => total));
  const total = bars.reduce((sum, bar) => sum + bar.total, 0);
  const x = ((atMs - fromMs) / (toMs - fromMs)) * bars.length;
  return (
    <div class="timeline">
      <svg
        viewBox={`0 0 ${bars.length} ${HIGH}`}
        preserveAspectRatio="none"
        role="img"
        aria-label={`${plural(total, 'event')}, at most ${count(most)} in a bar`}
      >
        {bars.map(({ fromMs: at, total: n, bad }, place) => {
          const height = (n / most) * (HIGH - 4);
          const low = (bad / most) * (HIGH - 4);
          return (
            <g key={at}>
              <title>{`${clockMs(at)}: ${n} events, ${bad} failures`}</title>
              <rect class="bar" x={place + 0.1} y={HIGH - height} width="0.8" height={height} />
              <rect class="bar is-bad" x={place + 0.1} y={HIGH - low} width="0.8" height={low} />
            </g>
          );
        })}
        <line class="cursor" x1={x} x2={x} y1="0" y2={HIGH} />
      </svg>
      <input
        type="range"
        min={fromMs}
        max={toMs}
        step={Math.max(1, Math.round(bucketMs / 4))}
        value={atMs}
        aria-label="Moment"
        aria-valuetext={dateTime(atMs)}
        onInput={(event) => move(Number(event.currentTarget.value))}
      />
      <div class="timeline-ends muted">
        <span>{dateTime(fromMs)}</span>
        <span>{dateTime(toMs)}</span>
      </div>
    </div>
  );
}

function Moment({ atMs }: { readonly atMs: number }) {
  const { data } = useResource<HistoryMoment>('/api/agents/history/moment', { at: new Date(atMs).toISOString() }).state
    .value;
  const last = useRef<HistoryMoment | undefined>(undefined);
  last.current = data ?? last.current;
  const { tasks, workflows, agents } = last.current ?? {};
  return (
    <>
      <h2 class="at-moment">
        At {clockMs(atMs)} <span class="muted">{dateTime(atMs)}</span>
      </h2>
      <div class="stats" aria-live="polite">
        <Stat label="Tasks that waited" value={count(tasks?.queued)} />
        <Stat label="Tasks begun, not ended" value={count(tasks?.started)} />
        <Stat label="Runs going on" value={count(workflows?.running)} />
        <Stat label="Runs not started" value={count(workflows?.created)} />
        <Stat label="Agents there" value={count(agents?.present)} />
      </div>
    </>
  );
}

interface LogProps {
  readonly from: string;
  readonly atMs: number;
  readonly query: ViewProps['query'];
}

function Log({ from, atMs, query: { kind, type } }: LogProps) {
  const names = useAgentNames();
  // Events of the millisecond the slider stands at have happened.
  const filter = { from, to: new Date(Math.max(atMs, Date.parse(from)) + 1).toISOString(), kind, type, limit: EVENTS };
  const key = JSON.stringify(filter);
  const { data, error } = useResource<HistoryPage>('/api/agents/history/events', filter).state.value;
  const older = useSignal<{ key: string; items: readonly RuntimeEvent[]; next: string | null } | null>(null);
  const last = useRef<HistoryPage | undefined>(undefined);
  last.current = data ?? last.current;
  const more = older.value?.key === key ? older.value : null;
  const page = last.current;
  if (page === undefined) return error ? <ApiProblem error={error} /> : <Loading what="events" />;
  const next = more ? more.next : page.nextCursor;
  const load = async (): Promise<void> => {
    const earlier = await api.get<HistoryPage>('/api/agents/history/events', { ...filter, cursor: next ?? undefined });
    older.value = { key, items: [...(more?.items ?? []), ...earlier.items], next: earlier.nextCursor };
  };
  return (
    <div class="log">
      <Stale error={error} />
      <DataTable
        label="Events before the moment, newest first"
        rows={[...page.items, ...(more?.items ?? [])]}
        columns={columnsFor((id) => names.byId.get(id))}
        rowKey={({ stream, seq }) => `${stream} ${seq}`}
        empty={
          <Empty title="Nothing had happened in this window">
            Move the slider to the right, choose a longer window, or go <b>Earlier</b>.
          </Empty>
        }
      />
      {next === null ? null : (
        <p class="more">
          <button type="button" onClick={() => void load()}>
            Load earlier events
          </button>
        </p>
      )}
    </div>
  );
}

const PLACES = { tsk: 'tasks', agt: 'agents', wfl: 'workflows' } as const;

function streamLink(stream: string, nameOf: (id: string) => string | undefined) {
  const place = PLACES[stream.slice(0, 3) as keyof typeof PLACES];
  const words = nameOf(stream) ?? shortId(stream);
  return place === undefined ? words : <a href={href([place, stream])}>{words}</a>;
}

const columnsFor = (nameOf: (id: string) => string | undefined): readonly Column<RuntimeEvent>[] => [
  { key: 'at', title: 'At', width: '14ch', cell: ({ at }) => clockMs(at) },
  {
    key: 'type',
    title: 'Event',
    width: '24ch',
    cell: ({ type }) => <StateBadge state={type} tone={eventTone(type)} label={type.replaceAll('_', ' ')} />,
  },
  { key: 'stream', title: 'Of', cell: ({ stream }) => streamLink(stream, nameOf) },
  {
    key: 'data',
    title: 'What',
    wide: true,
    width: '46%',
    cell: ({ data }) => (
      <span class="muted" title={JSON.stringify(data, null, 1)}>
        {brief(data, 160)}
      </span>
    ),
  },
];
