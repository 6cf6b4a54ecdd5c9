// Attempts that run in this thread: start, time limit, abort, grace, outcome. One outcome an attempt; a later one is refused.

import { RuntimeError, toWireError, type WireError, wireError } from '../contracts/errors.ts';
import type { TaskAssignment, TaskOutcome } from '../contracts/task.ts';
import { type OpenSpan, openSpan } from '../contracts/tracing.ts';
import { portable } from '../transport/plain.ts';
import type { Deadline, Wheel } from '../transport/wheel.ts';
import type { Cell } from './cell.ts';

export interface TaskRunsOwner {
  readonly graceMs: number;
  readonly thread: number;
  nowMs(): number;
  outcome(key: number, outcome: TaskOutcome, plain: boolean): void;
  /** Runs code of a task so that what it throws later is laid to it. */
  within<T>(cell: Cell, task: number, fn: () => T): T;
  fail(cell: Cell, error: WireError): void;
}

class Run implements Deadline {
  dueAtMs = 0;
  previous: Deadline | null = null;
  next: Deadline | null = null;
  wheelSlot = -1;
  readonly controller = new AbortController();
  why: 'timed_out' | 'cancelled' | null = null;
  span: OpenSpan | undefined;
  readonly key: number;
  readonly cell: Cell;
  readonly task: TaskAssignment;
  readonly startedAtMs: number;
  readonly #onExpire: (run: Run) => void;

  constructor(key: number, cell: Cell, task: TaskAssignment, startedAtMs: number, onExpire: (run: Run) => void) {
    this.key = key;
    this.cell = cell;
    this.task = task;
    this.startedAtMs = startedAtMs;
    this.#onExpire = onExpire;
  }

  expire(): void {
    this.#onExpire(this);
  }
}

export class TaskRuns {
  readonly #runs = new Map<number, Run>();
  readonly #wheel: Wheel;
  readonly #owner: TaskRunsOwner;

  constructor(owner: TaskRunsOwner, wheel: Wheel) {
    this.#owner = owner;
    this.#wheel = wheel;
  }

  start(key: number, cell: Cell | undefined, task: TaskAssignment): void {
    const behavior = cell?.behavior;
    if (!cell || !behavior?.runTask || cell.phase !== 'active' || cell.state === 'paused') {
      const reason = !cell || !behavior ? 'agent_gone' : behavior.runTask ? `agent_${stateOf(cell)}` : 'no_tasks';
      this.#owner.outcome(key, { type: 'released', reason }, true);
      return;
    }
    const run = new Run(key, cell, task, this.#owner.nowMs(), (expired) => this.#expired(expired));
    this.#runs.set(key, run);
    cell.tasks.add(key);
    this.#wheel.arm(run, task.timeoutMs);
    const span = agentSpan(cell, task, this.#owner.thread);
    run.span = span;
    const traced = span ? { ...task, traceparent: span.traceparent } : task;
    const begin = () => behavior.runTask?.(traced, run.controller.signal) ?? Promise.reject(new Error('no runTask'));
    let outcome: Promise<TaskOutcome>;
    try {
      outcome = this.#owner.within(cell, key, () => (span ? span.within(begin) : begin()));
    } catch (error) {
      outcome = Promise.reject(error);
    }
    outcome.then(
      (value) => this.#settled(run, value),
      (error) => this.#settled(run, this.#failed(run, toWireError(error, 'handler_failed'))),
    );
  }

  cancel(key: number): void {
    const run = this.#runs.get(key);
    if (!run || run.why) return;
    run.why = 'cancelled';
    run.controller.abort(new RuntimeError('task_cancelled', 'the task was cancelled'));
  }

  /** Gives an attempt up: its cell fails, so that its supervisor starts a clean one. False when it has ended already. */
  abandon(key: number): boolean {
    const run = this.#runs.get(key);
    if (!run) return false;
    this.#forget(run);
    this.#owner.fail(
      run.cell,
      wireError('agent_crashed', `the task ${run.task.taskId} went on after it was cancelled`, {
        taskId: run.task.taskId,
      }),
    );
    return true;
  }

  /** The cell is gone: its attempts are lost. `culprit` is the key of the attempt that surely did it. */
  lose(cell: Cell, error: WireError, culprit: number): void {
    for (const key of [...cell.tasks]) {
      const run = this.#runs.get(key);
      if (!run) continue;
      const runMs = this.#owner.nowMs() - run.startedAtMs;
      this.#report(run, { type: 'lost', error, culprit: key === culprit, runMs });
      run.controller.abort(new RuntimeError('agent_crashed', 'the agent has ended'));
    }
  }

  abortAll(cell: Cell): void {
    for (const key of cell.tasks) this.cancel(key);
  }

  #expired(run: Run): void {
    if (run.why === 'timed_out') {
      // It had its grace. The loop is free, so the handler waits for something that ignores the signal.
      const { taskId, timeoutMs } = run.task;
      this.#report(run, { type: 'timed_out', runMs: this.#owner.nowMs() - run.startedAtMs });
      const message = `the task ${taskId} went on after its time limit of ${timeoutMs} ms`;
      this.#owner.fail(run.cell, wireError('agent_crashed', message, { taskId }));
      return;
    }
    if (run.why === null) {
      run.why = 'timed_out';
      this.#wheel.arm(run, this.#owner.graceMs);
      run.controller.abort(new RuntimeError('task_timeout', `the time limit of ${run.task.timeoutMs} ms has passed`));
    }
  }

  #settled(run: Run, outcome: TaskOutcome): void {
    if (this.#runs.get(run.key) !== run) return;
    const runMs = this.#owner.nowMs() - run.startedAtMs;
    const used = 'usage' in outcome && outcome.usage ? { usage: outcome.usage } : {};
    if (run.why === 'timed_out') this.#report(run, { type: 'timed_out', runMs, ...used });
    else if (run.why === 'cancelled' && outcome.type !== 'completed')
      this.#report(run, { type: 'cancelled', runMs, ...used });
    else this.#report(run, outcome);
  }

  #failed(run: Run, error: WireError): TaskOutcome {
    return { type: 'failed', error, runMs: this.#owner.nowMs() - run.startedAtMs };
  }

  #report(run: Run, outcome: TaskOutcome): void {
    this.#forget(run);
    endSpan(run.span, outcome);
    try {
      const { value, plain } = portable(outcome);
      this.#owner.outcome(run.key, value as TaskOutcome, plain);
    } catch (error) {
      const message = `the result cannot be cloned: ${toWireError(error).message}`;
      const used = 'usage' in outcome && outcome.usage ? { usage: outcome.usage } : {};
      this.#owner.outcome(run.key, { ...this.#failed(run, wireError('not_cloneable', message)), ...used }, true);
    }
  }

  #forget(run: Run): void {
    this.#wheel.disarm(run);
    this.#runs.delete(run.key);
    run.cell.tasks.delete(run.key);
    run.cell.quiet();
  }
}

/** GenAI semantic conventions: one turn of an agent. */
function agentSpan({ spec }: Cell, task: TaskAssignment, thread: number): OpenSpan | undefined {
  return openSpan({
    name: `invoke_agent ${spec.type}`,
    parent: task.traceparent ?? null,
    attributes: {
      'gen_ai.operation.name': 'invoke_agent',
      'gen_ai.agent.id': spec.id,
      'gen_ai.agent.name': spec.name,
      'thread.id': thread,
      'troupe.agent.type': spec.type,
      'troupe.capability': `${task.capability}@${task.version}`,
      'troupe.task.id': task.taskId,
      'troupe.task.attempt': task.attempt,
    },
  });
}

function endSpan(span: OpenSpan | undefined, outcome: TaskOutcome): void {
  if (!span) return;
  span.set({ 'troupe.outcome': outcome.type });
  if (outcome.type === 'failed' || outcome.type === 'lost') span.end(outcome.error.code);
  else span.end(outcome.type === 'timed_out' ? 'task_timeout' : undefined);
}

function stateOf(cell: Cell): string {
  return cell.phase === 'active' ? cell.state : cell.phase;
}
