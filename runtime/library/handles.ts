// What the library's user holds: an agent, a task, a run. Thin over TroupeRuntime; a handle keeps no state of its own beyond what it was made with.

import type { AgentView } from '../contracts/agent.ts';
import type { DurableTell, StoredTell, TellResult } from '../contracts/envelope.ts';
import { fromWireError, RuntimeError, wireError } from '../contracts/errors.ts';
import type { RuntimeEvent } from '../contracts/event.ts';
import type { AgentId, TaskId, WorkflowId } from '../contracts/ids.ts';
import type { Dispose } from '../contracts/ports.ts';
import type { AskOptions, CallContext, RemovalReport, TroupeRuntime } from '../contracts/runtime.ts';
import type { Terminated } from '../contracts/supervision.ts';
import { type CancelReport, isTerminalTask, type TaskView } from '../contracts/task.ts';
import { isTerminalWorkflow, type WorkflowView } from '../contracts/workflow.ts';
import type { ForkWorkflow, InputAnswer, InputView } from '../contracts/workflow-control.ts';

/** A wait inside `result()` is renewed this often; nothing is lost in between. */
const WAIT_STEP_MS = 60_000;
const DEFAULT_ASK_MS = 5_000;

/** A handle on one agent, good for as long as the agent lives, over restarts and moves. */
export class AgentRef {
  readonly id: AgentId;
  readonly name: string;
  readonly type: string;
  readonly #runtime: TroupeRuntime;
  readonly #call: CallContext;

  constructor(runtime: TroupeRuntime, view: AgentView, call: CallContext) {
    this.#runtime = runtime;
    this.#call = call;
    this.id = view.id;
    this.name = view.name;
    this.type = view.type;
  }

  /** At most once, in order per sender; resolves with what became of it and never rejects for a full mailbox or a dead agent. */
  tell(type: string, body?: unknown): Promise<TellResult>;
  /**
   * Durable: stored when it resolves, then at least once until its handler is done, with one effect in the agent's state.
   * @throws RuntimeError `actor_not_found`, `invalid_input`, `idempotency_mismatch`, `store_unavailable` (outcome unknown).
   */
  tell(type: string, body: unknown, options: DurableTell & { readonly idempotencyKey?: string }): Promise<StoredTell>;
  tell(
    type: string,
    body?: unknown,
    options?: DurableTell & { readonly idempotencyKey?: string },
  ): Promise<TellResult | StoredTell> {
    const { agents } = this.#runtime;
    if (options) return agents.tell(this.id, type, body, { ...this.#call, ...options });
    return agents.tell(this.id, type, body, this.#call);
  }

  /**
   * The handler's reply. `timeoutMs` defaults to 5,000.
   * @throws RuntimeError `ask_timeout` (outcome unknown), `mailbox_full`, `target_lost`, `no_handler`, or what the handler threw.
   */
  ask<Reply = unknown>(type: string, body?: unknown, options: Partial<AskOptions> = {}): Promise<Reply> {
    const bounded = { ...options, timeoutMs: options.timeoutMs ?? DEFAULT_ASK_MS };
    return this.#runtime.agents.ask(this.id, type, body, bounded, this.#call) as Promise<Reply>;
  }

  view(): Promise<AgentView> {
    return this.#runtime.agents.get(this.id, this.#call);
  }

  pause(): Promise<AgentView> {
    return this.#runtime.agents.pause(this.id, this.#call);
  }

  resume(): Promise<AgentView> {
    return this.#runtime.agents.resume(this.id, this.#call);
  }

  /** Exactly one `terminated`, whatever the way to die. */
  watch(listener: (end: Terminated) => void): Promise<Dispose> {
    return this.#runtime.agents.watch(this.id, listener, this.#call);
  }

  stop(options: { mode?: 'drain' | 'force'; timeoutMs?: number } = {}): Promise<RemovalReport> {
    return this.#runtime.agents.remove(this.id, options, this.#call);
  }
}

/** A submitted task. */
export class TaskHandle {
  readonly id: TaskId;
  readonly #runtime: TroupeRuntime;
  readonly #call: CallContext;

  constructor(runtime: TroupeRuntime, id: TaskId, call: CallContext) {
    this.#runtime = runtime;
    this.#call = call;
    this.id = id;
  }

  view(): Promise<TaskView> {
    return this.#runtime.tasks.get(this.id, this.#call);
  }

  /**
   * The task's result once it is completed; waits as long as `signal` and the task's own limits allow.
   * @throws RuntimeError with the task's error and code when it ended otherwise.
   */
  async result<Result = unknown>(options: { signal?: AbortSignal } = {}): Promise<Result> {
    const wait = { timeoutMs: WAIT_STEP_MS, ...(options.signal ? { signal: options.signal } : {}) };
    for (;;) {
      const task = await this.#runtime.tasks.wait(this.id, wait, this.#call);
      if (task.status === 'completed') return task.result as Result;
      if (isTerminalTask(task.status))
        throw fromWireError(task.error ?? wireError('internal', `the task ended ${task.status}`));
      options.signal?.throwIfAborted();
    }
  }

  /** Answers what its handler asks a person. */
  answer(value: unknown): Promise<TaskView> {
    return this.#runtime.tasks.answer(this.id, { value }, this.#call);
  }

  cancel(options: { graceMs?: number } = {}): Promise<CancelReport> {
    return this.#runtime.tasks.cancel(this.id, options, this.#call);
  }

  /** Stored events after `after`, then live ones, until the task is terminal. */
  events(options: { after?: number; signal?: AbortSignal } = {}): AsyncIterable<RuntimeEvent> {
    return this.#runtime.events.stream(this.id, streamOptions(options), this.#call);
  }
}

/** A started workflow. */
export class RunHandle {
  readonly id: WorkflowId;
  readonly #runtime: TroupeRuntime;
  readonly #call: CallContext;

  constructor(runtime: TroupeRuntime, id: WorkflowId, call: CallContext) {
    this.#runtime = runtime;
    this.#call = call;
    this.id = id;
  }

  view(): Promise<WorkflowView> {
    return this.#runtime.workflows.get(this.id, this.#call);
  }

  /** The run once it has ended, whatever its end: read `status`, `stopReason`, `output`, `metrics`. */
  async result(options: { signal?: AbortSignal } = {}): Promise<WorkflowView> {
    const wait = { timeoutMs: WAIT_STEP_MS, ...(options.signal ? { signal: options.signal } : {}) };
    for (;;) {
      const run = await this.#runtime.workflows.wait(this.id, wait, this.#call);
      if (isTerminalWorkflow(run.status)) return run;
      options.signal?.throwIfAborted();
    }
  }

  /**
   * What it came to, once it is `completed` or `partial`. Rejects with the error it ended with, `workflow_failed` (details.status,
   * details.stopReason) where it has none.
   */
  async output<Output = unknown>(options: { signal?: AbortSignal } = {}): Promise<Output> {
    const wait = { timeoutMs: WAIT_STEP_MS, ...(options.signal ? { signal: options.signal } : {}) };
    for (;;) {
      const run = await this.#runtime.workflows.outcome(this.id, wait, this.#call);
      const { status, stopReason, output, error } = run;
      if (status === 'completed' || status === 'partial') return output as Output;
      if (isTerminalWorkflow(status)) {
        const message = `the workflow ended ${status} (${stopReason})`;
        throw fromWireError(error ?? wireError('workflow_failed', message, { status, stopReason }));
      }
      options.signal?.throwIfAborted();
    }
  }

  cancel(): Promise<WorkflowView> {
    return this.#runtime.workflows.cancel(this.id, this.#call);
  }

  /** Nothing new starts until `resume`. */
  pause(): Promise<WorkflowView> {
    return this.#runtime.workflows.pause(this.id, this.#call);
  }

  resume(): Promise<WorkflowView> {
    return this.#runtime.workflows.resume(this.id, this.#call);
  }

  /** Tells the strategy something. */
  signal(key: string, value?: unknown): Promise<void> {
    return this.#runtime.workflows.signal(this.id, { key, value }, this.#call);
  }

  /** More items for a pipeline with `open: true`. */
  append(items: readonly unknown[], options: { end?: boolean } = {}): Promise<void> {
    return this.#runtime.workflows.append(this.id, { items: [...items], ...options }, this.#call);
  }

  /** Open questions to people, those of tasks and of runs below included. */
  inputs(): Promise<readonly InputView[]> {
    return this.#runtime.workflows.inputs({ workflowId: this.id, state: 'open' }, this.#call);
  }

  /** Answers one of this run's own steps, or what the handler of its task asks: `{ approved }` or `{ value }`. */
  answer(step: string, answer: InputAnswer): Promise<InputView> {
    return this.#runtime.workflows.answer(this.id, step, answer, this.#call);
  }

  /** Runs it again from a step, or what had not completed. */
  async fork(options: ForkWorkflow = {}): Promise<RunHandle> {
    const { id } = await this.#runtime.workflows.fork(this.id, options, this.#call);
    return new RunHandle(this.#runtime, id, this.#call);
  }

  /** What was chosen among what, by which rule; in order. */
  decisions(page: { limit?: number; after?: number } = {}): ReturnType<TroupeRuntime['workflows']['decisions']> {
    return this.#runtime.workflows.decisions(this.id, page, this.#call);
  }

  events(options: { after?: number; signal?: AbortSignal } = {}): AsyncIterable<RuntimeEvent> {
    return this.#runtime.events.stream(this.id, streamOptions(options), this.#call);
  }
}

function streamOptions(options: { after?: number; signal?: AbortSignal }): { afterSeq: number; signal: AbortSignal } {
  const afterSeq = options.after ?? 0;
  if (!Number.isSafeInteger(afterSeq) || afterSeq < 0) {
    throw new RuntimeError('invalid_input', 'after: expected a sequence number of 0 or more', {
      details: { issues: [{ path: 'after', message: 'expected 0 or more' }] },
    });
  }
  return { afterSeq, signal: options.signal ?? new AbortController().signal };
}
