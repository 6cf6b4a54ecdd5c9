// Tries over time: a line per round of a step, the critical path lit.

import { useSignal } from '@preact/signals';
import type { WorkflowView } from '../../../../runtime/contracts/workflow.ts';
import type { AgentNames } from '../../data/agent-names.ts';
import { href, setQuery } from '../../router.ts';
import { clockMs } from '../../ui/figures.ts';
import { duration, plural } from '../../ui/format.ts';
import { type TimeScale, ticks, timeScale } from '../../ui/scale.ts';
import { ApiProblem, Empty, Loading } from '../../ui/states.tsx';
import type { ViewProps } from '../view.ts';
import { type GanttRow, type GanttSpan, ganttOf } from './gantt.ts';
import type { Step } from './graph.ts';
import { hasEnded, useAttempts } from './run-data.ts';

interface AttemptsProps {
  readonly run: WorkflowView;
  readonly steps: readonly Step[];
  readonly names: AgentNames;
  readonly query: ViewProps['query'];
}

/** Drawn at once; more on demand. */
const ROWS = 200;

export function Attempts({ run, steps, names, query }: AttemptsProps) {
  const pages = useSignal(1);
  const rowsShown = useSignal(ROWS);
  const loaded = useAttempts(run.id, !hasEnded(run), pages.value);
  if (loaded.loading) return <Loading what="tries" />;
  if (loaded.error && loaded.items.length === 0) return <ApiProblem error={loaded.error} />;
  const gantt = ganttOf({
    rounds: loaded.items,
    steps,
    criticalPath: run.metrics?.criticalPath ?? [],
    startedAt: run.startedAt,
    endedAt: run.endedAt,
    nowMs: Date.now(),
  });
  if (gantt.rows.length === 0)
    return <Empty title="Nothing has been tried yet">A line appears here for each task when it is made.</Empty>;
  const only = query.only === 'critical';
  const rows = only ? gantt.rows.filter(({ critical }) => critical) : gantt.rows;
  const scale = timeScale(gantt.fromMs, gantt.toMs);
  const more = (): void => {
    if (rows.length > rowsShown.value) rowsShown.value += ROWS;
    else pages.value += 1;
  };
  return (
    <>
      <div class="gantt-head">
        <label class="check">
          <input
            type="checkbox"
            checked={only}
            onChange={(event) => setQuery({ only: event.currentTarget.checked ? 'critical' : undefined })}
          />
          Only the critical path
        </label>
        <Legend />
      </div>
      <div class="gantt">
        <Axis scale={scale} />
        <ol class="gantt-rows" aria-label="Tries over time">
          {rows.slice(0, rowsShown.value).map((row) => (
            <Row key={row.key} row={row} scale={scale} names={names} />
          ))}
        </ol>
      </div>
      {rows.length > rowsShown.value || loaded.partial ? (
        <p class="more">
          {plural(Math.min(rows.length, rowsShown.value), 'line')} of {loaded.partial ? 'more than ' : ''}
          {rows.length}.{' '}
          <button type="button" onClick={more}>
            Show more
          </button>
        </p>
      ) : null}
    </>
  );
}

const OUTCOMES = [
  ['completed', 'done'],
  ['running', 'running'],
  ['failed', 'failed or lost'],
  ['wait', 'waiting'],
] as const;

function Legend() {
  return (
    <span class="legend">
      {OUTCOMES.map(([outcome, words]) => (
        <span key={outcome}>
          <i class={`span span-${outcome}`} /> {words}
        </span>
      ))}
      <span>
        <i class="lit-mark" /> critical path
      </span>
    </span>
  );
}

function Axis({ scale }: { readonly scale: TimeScale }) {
  const span = scale.toMs - scale.fromMs;
  return (
    <div class="gantt-axis" aria-hidden="true">
      <span class="gantt-label muted">{clockMs(scale.fromMs)}</span>
      <span class="gantt-track">
        {ticks(span, innerWidth < 620 ? 3 : 8).map((ms) => (
          <span key={ms} class="tick" style={{ left: `${(ms / span) * 100}%` }}>
            {duration(ms)}
          </span>
        ))}
      </span>
    </div>
  );
}

interface RowProps {
  readonly row: GanttRow;
  readonly scale: TimeScale;
  readonly names: AgentNames;
}

function Row({ row, scale, names }: RowProps) {
  const tries = row.spans.filter(({ kind }) => kind === 'try').length;
  return (
    <li class={`gantt-row ${row.critical ? 'is-lit' : ''}`}>
      <span class="gantt-label" title={`${row.label} · ${row.capability}`}>
        {row.taskId === null ? row.label : <a href={href(['tasks', row.taskId])}>{row.label}</a>}
      </span>
      <span class="gantt-track">
        {row.spans.map((span) => (
          <Bar key={`${span.kind} ${span.fromMs} ${span.attempt ?? ''}`} span={span} scale={scale} names={names} />
        ))}
        <span class="sr">
          {row.state}, {plural(tries, 'try', 'tries')}, {duration(row.toMs - row.fromMs)}
          {row.critical ? ', on the critical path' : ''}
        </span>
      </span>
      <span class="gantt-took num">{duration(row.toMs - row.fromMs)}</span>
    </li>
  );
}

function Bar({
  span,
  scale,
  names,
}: {
  readonly span: GanttSpan;
  readonly scale: TimeScale;
  readonly names: AgentNames;
}) {
  const left = scale.at(span.fromMs) * 100;
  const width = Math.max(0, scale.at(span.toMs) * 100 - left);
  const words = [
    span.kind === 'wait' ? 'waits' : `try ${span.attempt ?? 1}: ${span.outcome.replaceAll('_', ' ')}`,
    duration(span.toMs - span.fromMs),
    span.agentId ? names.of(span.agentId) : '',
    span.thread === null || span.thread === undefined ? '' : `thread ${span.thread}`,
    span.error ?? '',
  ];
  return (
    <span
      class={`span span-${classOf(span)}`}
      style={{ left: `${left}%`, width: `${width}%` }}
      title={words.filter(Boolean).join('\n')}
    />
  );
}

function classOf({ outcome }: GanttSpan): string {
  if (outcome === 'wait' || outcome === 'running' || outcome === 'completed') return outcome;
  return outcome === 'failed' || outcome === 'lost' || outcome === 'timed_out' ? 'failed' : 'other';
}
