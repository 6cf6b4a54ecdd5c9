// A run as it was: a slider over its journal, and for each event of it what it was, what was decided on it, and how the run stood then.

import { useSignal } from '@preact/signals';
import { useEffect, useRef } from 'preact/hooks';
import type { JournalPage, WorkflowMoment } from '../../../../runtime/contracts/history.ts';
import type { WorkflowView } from '../../../../runtime/contracts/workflow.ts';
import type { AgentNames } from '../../data/agent-names.ts';
import { useResource } from '../../data/resource.ts';
import { setQuery } from '../../router.ts';
import { toneOf } from '../../ui/badge.tsx';
import { brief, clockMs } from '../../ui/figures.ts';
import { duration } from '../../ui/format.ts';
import { Json, Panel } from '../../ui/panel.tsx';
import { ApiProblem, Empty, Loading } from '../../ui/states.tsx';
import { DecisionLine } from './decisions.tsx';
import { graphOf } from './graph.ts';
import { GraphDrawing } from './graph-drawing.tsx';
import { Picture, pictureTitle } from './pictures/picture.tsx';
import { hasEnded, runPath } from './run-data.ts';

const STEPS = 300;

interface PastProps {
  readonly run: WorkflowView;
  readonly names: AgentNames;
  readonly at: string | undefined;
}

export function Past({ run, names, at }: PastProps) {
  const fresh = hasEnded(run) ? {} : { everyMs: 2_000 };
  const { data, error } = useResource<JournalPage>(`${runPath(run.id)}/journal`, { limit: 1 }, fresh).state.value;
  if (data === undefined) return error ? <ApiProblem error={error} /> : <Loading what="journal" />;
  const { total } = data;
  const first = data.items[0];
  if (!first) return <Empty title="The journal is empty">A run has a past from its start on.</Empty>;
  const seq = Math.min(total, Math.max(1, Math.trunc(Number(at ?? total)) || 1));
  return (
    <>
      <Scrubber seq={seq} total={total} />
      <Moment run={run} seq={seq} beganAt={first.at} names={names} />
    </>
  );
}

function Scrubber({ seq, total }: { readonly seq: number; readonly total: number }) {
  const playing = useSignal(false);
  const go = (to: number): void => setQuery({ at: String(Math.min(total, Math.max(1, to))) });
  const now = useRef(seq);
  now.current = seq;
  useEffect(() => {
    if (!playing.value) return;
    const timer = setInterval(() => {
      if (now.current >= total) playing.value = false;
      else go(now.current + 1);
    }, 600);
    return () => clearInterval(timer);
  }, [playing.value, total]);
  return (
    <div class="scrubber">
      <button type="button" onClick={() => go(seq - 1)} disabled={seq <= 1} aria-label="One event back">
        ◂
      </button>
      <input
        type="range"
        min={1}
        max={total}
        value={seq}
        aria-label="Event of the journal"
        aria-valuetext={`event ${seq} of ${total}`}
        onInput={(event) => go(Number(event.currentTarget.value))}
      />
      <button type="button" onClick={() => go(seq + 1)} disabled={seq >= total} aria-label="One event on">
        ▸
      </button>
      <button
        type="button"
        onClick={() => {
          if (seq >= total) go(1);
          playing.value = !playing.value;
        }}
      >
        {playing.value ? 'Stop' : 'Play'}
      </button>
      <span class="muted scrubber-place">
        event {seq} of {total}
      </span>
    </div>
  );
}

interface MomentProps {
  readonly run: WorkflowView;
  readonly seq: number;
  readonly beganAt: string;
  readonly names: AgentNames;
}

function Moment({ run, seq, beganAt, names }: MomentProps) {
  const path = `${runPath(run.id)}/journal/${seq}`;
  const { data, error } = useResource<WorkflowMoment>(path, { stepsLimit: STEPS }).state.value;
  const last = useRef<WorkflowMoment | undefined>(undefined);
  last.current = data ?? last.current;
  const moment = last.current;
  if (error && !data) return <ApiProblem error={error} />;
  if (!moment) return <Loading what="moment" />;
  const { event, at, decisions, progress, tasks, nextStep, picture, paused, ended } = moment;
  const { type, ...rest } = event;
  const title = [type, rest.step, rest.agentId === undefined ? '' : names.of(rest.agentId as string)]
    .filter(Boolean)
    .join(' ');
  return (
    <div aria-live="polite">
      <p class="moment-head">
        <strong>{brief(title, 100)}</strong>{' '}
        <span class="muted">
          {clockMs(at)}, {duration(Date.parse(at) - Date.parse(beganAt))} after the start. {progress.done} of{' '}
          {progress.total} done
          {paused ? ', paused' : ''}
          {ended ? ', ended' : ''}.
        </span>
      </p>
      <div class="columns">
        <Panel title="Decided on it">
          {decisions.length === 0 ? (
            <p class="muted">nothing</p>
          ) : (
            <ol class="decisions">
              {decisions.slice(0, 30).map((decision, index) => (
                <li key={index}>
                  <DecisionLine decision={decision as Parameters<typeof DecisionLine>[0]['decision']} names={names} />
                </li>
              ))}
            </ol>
          )}
          <details>
            <summary>The event</summary>
            <Json value={event} />
          </details>
        </Panel>
        <Panel title="Steps then">
          {tasks.length > 0 && tasks.length <= 60 && nextStep === null ? (
            <GraphDrawing graph={graphOf(tasks)} chosen={undefined} critical={[]} />
          ) : (
            <ul class="step-dots" aria-label="Steps by state">
              {tasks.map(({ id, state }) => (
                <li key={id} class={`tone-${toneOf(state)}`} title={`${id}: ${state}`}>
                  <span class="sr">
                    {id}: {state}
                  </span>
                </li>
              ))}
            </ul>
          )}
          {nextStep === null ? null : <p class="note">The first {tasks.length} steps.</p>}
        </Panel>
      </div>
      {picture === undefined ? null : (
        <Panel title={`${pictureTitle(run.pattern)} then`} class="moment-picture">
          <Picture pattern={run.pattern} picture={picture} steps={tasks} names={names} />
        </Panel>
      )}
    </div>
  );
}
