// The books of one run after faults: its rows against its journal, its journal against what a replay decides, its tasks against the ledger
// of the handlers that really ran. Pure, so that it can itself be tested with books that were cooked.

import { canonicalJson, sameJson } from '../../runtime/contracts/canonical-json.ts';
import type { CoordinationCommand, CoordinationEvent, Decision } from '../../runtime/contracts/coordination.ts';
import type { WorkflowId } from '../../runtime/contracts/ids.ts';
import { type Definition, hashOf } from '../../runtime/workflows/definition.ts';
import { remember } from '../../runtime/workflows/remember.ts';
import type { RunMemory } from '../../runtime/workflows/run-memory.ts';

/** One line of the clerk's file. */
export interface Effect {
  readonly at: 'start' | 'end';
  readonly name: string;
  /** The idempotency key the handler was given. */
  readonly key: string;
  readonly task: string;
  readonly attempt: number;
}

export interface TaskBooked {
  readonly id: string;
  readonly step: string;
  readonly round: number;
  readonly state: string;
  readonly result: unknown;
  readonly attempts: readonly { readonly attempt: number; readonly outcome: string }[];
}

/** Everything the store holds of a run that should have ended. */
export interface RunBooked {
  readonly id: WorkflowId;
  readonly status: string;
  readonly stopReason: string | null;
  readonly output: unknown;
  readonly stateHash: string | null;
  /** What the row says of the lengths below. */
  readonly journalLength: number;
  readonly decisionsLength: number;
  readonly eventsLength: number;
  readonly journal: readonly { readonly seq: number; readonly event: CoordinationEvent }[];
  readonly decisions: readonly { readonly seq: number; readonly decision: Decision }[];
  readonly events: readonly number[];
  readonly snapshot: { readonly journalLength: number; readonly state: unknown } | null;
  readonly tasks: readonly TaskBooked[];
}

const ENDED_RUN = ['completed', 'partial', 'failed', 'cancelled'];
const ENDED_TASK = ['completed', 'failed', 'dead', 'cancelled', 'timed_out'];

type Outcome = Extract<CoordinationEvent, { type: 'step.completed' | 'step.failed' }>;
const isOutcome = (event: CoordinationEvent): event is Outcome =>
  event.type === 'step.completed' || event.type === 'step.failed';
const nameOf = ({ step, round }: { readonly step: string; readonly round: number }): string => `${step}/${round}`;

/** What is wrong with the run, each with what it is about; empty: the books balance. */
export function auditRun(
  run: RunBooked,
  definition: Definition,
  effects: ReadonlyMap<string, readonly Effect[]>,
): string[] {
  if (!ENDED_RUN.includes(run.status)) return [`not ended: ${run.status}`];
  return [
    ...dense(
      'journal',
      run.journal.map(({ seq }) => seq),
      run.journalLength,
    ),
    ...dense(
      'decisions',
      run.decisions.map(({ seq }) => seq),
      run.decisionsLength,
    ),
    ...dense('events', run.events, run.eventsLength),
    ...outcomes(run),
    ...run.tasks.flatMap((task) => auditTask(task, effects.get(task.id))),
    ...replay(run, definition),
  ];
}

function dense(what: string, seqs: readonly number[], length: number): string[] {
  if (seqs.length !== length) return [`${what}: ${seqs.length} rows, the run says ${length}`];
  return seqs.every((seq, at) => seq === at + 1) ? [] : [`${what}: not dense: ${seqs.slice(0, 20).join(' ')}`];
}

/** One outcome per (step, round), the one that its task committed. */
function outcomes({ journal, tasks, snapshot }: RunBooked): string[] {
  const wrong: string[] = [];
  const journaled = new Map<string, Outcome>();
  for (const { event } of journal) {
    if (!isOutcome(event)) continue;
    const name = nameOf(event);
    if (journaled.has(name)) wrong.push(`two outcomes: ${name}`);
    journaled.set(name, event);
  }
  const steps = new Set<string>();
  for (const task of tasks) {
    const name = nameOf(task);
    if (steps.has(name)) wrong.push(`two tasks: ${name}`);
    steps.add(name);
    const event = journaled.get(name);
    // A task may have ended together with the run that no longer waited for it.
    if (!event) {
      if (task.state !== 'cancelled' && wasSettled(snapshot?.state, task)) wrong.push(`outcome not journaled: ${name}`);
      continue;
    }
    if (event.taskId !== task.id) wrong.push(`outcome of another task: ${name}`);
    if ((event.type === 'step.completed') !== (task.state === 'completed'))
      wrong.push(`journaled as ${event.type}, the task is ${task.state}: ${name}`);
    if (event.type === 'step.completed' && !sameJson(event.output, task.result)) wrong.push(`another result: ${name}`);
  }
  return wrong;
}

/** The state at the end has a time for every round that was waited for. */
function wasSettled(state: unknown, task: TaskBooked): boolean {
  const { timings = [] } = (state ?? {}) as Partial<RunMemory>;
  return timings.some((timing) => timing.step === task.step && timing.round === task.round);
}

function auditTask(task: TaskBooked, effects: readonly Effect[] = []): string[] {
  const wrong: string[] = [];
  const name = nameOf(task);
  if (!ENDED_TASK.includes(task.state)) wrong.push(`task not ended: ${name} ${task.state}`);
  const commits = task.attempts.filter(({ outcome }) => outcome === 'completed');
  if (commits.length !== (task.state === 'completed' ? 1 : 0)) wrong.push(`committed ${commits.length} times: ${name}`);
  const decided = commits[0]?.attempt ?? Number.POSITIVE_INFINITY;
  if (task.attempts.some(({ attempt }) => attempt > decided)) wrong.push(`tried again after its commit: ${name}`);
  if (effects.some(({ at, attempt }) => at === 'start' && attempt > decided))
    wrong.push(`started again after its commit: ${name}`);
  if (new Set(effects.map(({ key }) => key)).size > 1) wrong.push(`several keys: ${name}`);
  if (
    effects.length > 0 &&
    task.state === 'completed' &&
    !effects.some(({ at, attempt }) => at === 'end' && attempt === decided)
  )
    wrong.push(`committed without its effect: ${name}`);
  return wrong;
}

/** The journal gives the state the run ended in, the state of its snapshot, the decisions that were logged, and the end of the row. */
function replay(run: RunBooked, definition: Definition): string[] {
  let memory: RunMemory | null = null;
  const decisions: Decision[] = [];
  const ends: Extract<CoordinationCommand, { type: 'end' }>[] = [];
  for (const { event } of run.journal) {
    const next: ReturnType<typeof remember> = remember(definition, run.id, memory, event);
    memory = next.memory;
    decisions.push(...next.decisions);
    ends.push(...next.commands.filter((command) => command.type === 'end'));
  }
  const wrong: string[] = [];
  if (run.stateHash !== hashOf(memory)) wrong.push('replay: another state than the run ended in');
  if (run.snapshot !== null) {
    if (run.snapshot.journalLength !== run.journal.length)
      wrong.push(`replay: the snapshot is of ${run.snapshot.journalLength} of ${run.journal.length} events`);
    const [again, kept] = [canonicalJson(memory), canonicalJson(run.snapshot.state)];
    if (again !== kept) wrong.push(`replay: another state: ${difference(again, kept)}`);
  }
  if (
    !sameJson(
      decisions,
      // Agents were chosen by the node that ran the step, not by the strategy: a replay does not choose again.
      run.decisions
        .map(({ decision }) => decision)
        .filter(({ kind, step }) => kind !== 'placement' || step === undefined),
    )
  )
    wrong.push('replay: other decisions');
  const [end, ...more] = ends;
  if (!end || more.length > 0) wrong.push(`replay: ends ${ends.length} times`);
  else if (!sameJson([end.status, end.stopReason, end.output ?? null], [run.status, run.stopReason, run.output]))
    wrong.push(`replay: ends ${end.status} ${end.stopReason}, the run is ${run.status} ${run.stopReason}`);
  return wrong;
}

function difference(left: string, right: string): string {
  let at = 0;
  while (left[at] === right[at] && at < left.length) at++;
  return `${left.slice(Math.max(0, at - 60), at + 60)} <> ${right.slice(Math.max(0, at - 60), at + 60)}`;
}
