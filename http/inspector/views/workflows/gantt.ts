// The tries of a run over time: a row per round of a step, its waits and its tries as spans, the critical path marked. Pure.

import type { StepAttempts } from '../../../../runtime/contracts/history.ts';
import type { Step } from './graph.ts';

type Outcome = StepAttempts['attempts'][number]['outcome'];

export interface GanttSpan {
  /** `wait`: in a queue, or between two tries. */
  readonly kind: 'wait' | 'try';
  readonly outcome: Outcome | 'wait';
  readonly fromMs: number;
  readonly toMs: number;
  readonly open: boolean;
  readonly attempt?: number;
  readonly agentId?: string | null;
  readonly node?: string;
  readonly thread?: number | null;
  readonly error?: string;
}

export interface GanttRow {
  readonly key: string;
  readonly step: string;
  readonly round: number;
  readonly label: string;
  readonly capability: string;
  readonly taskId: string | null;
  readonly state: string;
  readonly critical: boolean;
  readonly fromMs: number;
  readonly toMs: number;
  readonly spans: readonly GanttSpan[];
}

export interface Gantt {
  readonly fromMs: number;
  readonly toMs: number;
  /** By begin; of equals as they came. */
  readonly rows: readonly GanttRow[];
}

export interface GanttParts {
  readonly rounds: readonly StepAttempts[];
  /** For steps that have no task: runs inside, questions to people. */
  readonly steps: readonly Step[];
  readonly criticalPath: readonly string[];
  readonly startedAt: string | null;
  readonly endedAt: string | null;
  /** Until here what is open is drawn. */
  readonly nowMs: number;
}

export function ganttOf({ rounds, steps, criticalPath, startedAt, endedAt, nowMs }: GanttParts): Gantt {
  const critical = new Set(criticalPath);
  const ofTasks = rounds.map((round): GanttRow => {
    const spans = spansOf(round, nowMs);
    return {
      key: round.taskId,
      step: round.step,
      round: round.round,
      label: round.round === 0 ? round.step : `${round.step} #${round.round + 1}`,
      capability: round.capability,
      taskId: round.taskId,
      state: round.state,
      critical: critical.has(round.step),
      fromMs: Date.parse(round.createdAt),
      toMs: spans.at(-1)?.toMs ?? Date.parse(round.createdAt),
      spans,
    };
  });
  const known = new Set(rounds.map(({ step }) => step));
  const others = steps.filter(({ id, taskId, startedAt: begun }) => !known.has(id) && !taskId && begun);
  const rows = [...ofTasks, ...others.map((step) => rowOfStep(step, critical.has(step.id), nowMs))].sort(
    (a, b) => a.fromMs - b.fromMs,
  );
  const begun = startedAt === null ? (rows[0]?.fromMs ?? nowMs) : Date.parse(startedAt);
  const last = rows.reduce((latest, { toMs }) => Math.max(latest, toMs), begun);
  return {
    fromMs: rows.reduce((first, { fromMs }) => Math.min(first, fromMs), begun),
    toMs: Math.max(last, endedAt === null ? (startedAt === null ? last : nowMs) : Date.parse(endedAt)),
    rows,
  };
}

function spansOf({ createdAt, endedAt, attempts, state }: StepAttempts, nowMs: number): GanttSpan[] {
  const spans: GanttSpan[] = [];
  let at = Date.parse(createdAt);
  for (const one of attempts) {
    const fromMs = Date.parse(one.startedAt);
    const open = one.endedAt === null;
    const toMs = open ? Math.max(nowMs, fromMs) : Date.parse(one.endedAt ?? '');
    if (fromMs > at) spans.push({ kind: 'wait', outcome: 'wait', fromMs: at, toMs: fromMs, open: false });
    spans.push({
      kind: 'try',
      outcome: one.outcome,
      fromMs,
      toMs,
      open,
      attempt: one.attempt,
      agentId: one.agentId,
      node: one.node,
      thread: one.thread,
      ...(one.error ? { error: `${one.error.code}: ${one.error.message}` } : {}),
    });
    at = Math.max(at, toMs);
  }
  const waits = endedAt === null && !attempts.some((one) => one.endedAt === null);
  const untilMs = endedAt === null ? nowMs : Date.parse(endedAt);
  if ((waits || (attempts.length === 0 && state !== 'running')) && untilMs > at)
    spans.push({ kind: 'wait', outcome: 'wait', fromMs: at, toMs: untilMs, open: endedAt === null });
  return spans;
}

function rowOfStep(step: Step, critical: boolean, nowMs: number): GanttRow {
  const fromMs = Date.parse(step.startedAt ?? '');
  const open = !step.endedAt;
  const toMs = open ? Math.max(nowMs, fromMs) : Date.parse(step.endedAt ?? '');
  const outcome: Outcome = open ? 'running' : step.state === 'completed' ? 'completed' : 'failed';
  return {
    key: `step ${step.id}`,
    step: step.id,
    round: step.round,
    label: step.id,
    capability: step.workflowId ? 'workflow' : (step.capability ?? ''),
    taskId: null,
    state: step.state,
    critical,
    fromMs,
    toMs,
    spans: [{ kind: 'try', outcome, fromMs, toMs, open }],
  };
}
