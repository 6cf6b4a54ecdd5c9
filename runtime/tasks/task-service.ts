// The tasks part of the API: accept durably, read, cancel, wait. Starting them is the dispatcher's matter.

import { traceOf } from '../contracts/call.ts';
import { RuntimeError, toWireError, type WireError } from '../contracts/errors.ts';
import { answerSchemaOf, type TaskAnswer, type TaskInput, taskAnswerSchema } from '../contracts/human-question.ts';
import { isId, type NodeId, type TaskId } from '../contracts/ids.ts';
import type { Ambient, Bus, Dispose, EventFeed, TakenSlot, Workforce } from '../contracts/ports.ts';
import type { CallContext, TaskListFilter, TasksApi } from '../contracts/runtime.ts';
import type { AgentStore, EventStore, NewTask, Page, SubmitOutcome, TaskStore } from '../contracts/store.ts';
import type { CancelReport, SubmitTask, TaskView } from '../contracts/task.ts';
import { invalidInput, parseInput } from '../contracts/validation.ts';
import { Admission } from './admission.ts';
import { Cancellation, notFound } from './cancellation.ts';
import type { CapabilityResolver } from './capability-resolver.ts';
import type { Dispatcher } from './dispatcher.ts';
import { endsTask } from './node-chores.ts';
import { itemKey, newTaskOf, parseSubmit, startsNow } from './submission.ts';
import { TaskWaits } from './task-waits.ts';
import { waitingReason } from './waiting-reason.ts';

export interface TaskServiceConfig {
  readonly pollMs: number;
  readonly graceMs: number;
  /** Open tasks of a tenant; beyond it submits are refused. */
  readonly queueLimit: number;
}

export interface TaskServiceParts {
  readonly store: TaskStore;
  readonly agents: Pick<AgentStore, 'get'>;
  /** Knows the queue of a task; used to say why one waits. */
  readonly events: Pick<EventStore, 'read'>;
  readonly node: NodeId;
  readonly dispatcher: Dispatcher;
  readonly workforce: Workforce;
  readonly resolver: CapabilityResolver;
  readonly feed: EventFeed;
  readonly bus: Bus;
  readonly ambient: Ambient;
  readonly config: TaskServiceConfig;
  /** A task will be due in this long: the sweeper promotes it then. */
  readonly onScheduled?: (inMs: number) => void;
}

interface Prepared {
  readonly task: NewTask;
}
type Answer = { ok: true; task: TaskView } | { ok: false; error: WireError };

const LIBRARY: CallContext = { tenant: 'default' };
const LIST_LIMIT = 50;
const LARGEST_LIST = 500;

export class TaskService implements TasksApi {
  readonly #parts: TaskServiceParts;
  readonly #admission: Admission;
  readonly #cancellation: Cancellation;
  readonly #waits: TaskWaits;
  readonly #unsubscribe: Dispose;

  constructor(parts: TaskServiceParts) {
    this.#parts = parts;
    const { store, ambient, config, feed } = parts;
    this.#admission = new Admission({ store, ambient, queueLimit: config.queueLimit, refreshMs: config.pollMs });
    this.#cancellation = new Cancellation({ ...parts, graceMs: config.graceMs });
    this.#waits = new TaskWaits({ ...parts, pollMs: config.pollMs });
    this.#unsubscribe = feed.subscribe((event) => {
      if (endsTask(event)) this.#admission.leave(event.tenant);
    });
  }

  /** Callers that wait get their task as it is. */
  close(): void {
    this.#unsubscribe();
    this.#waits.close();
  }

  async submit(submit: SubmitTask, call: CallContext = LIBRARY): Promise<TaskView> {
    this.#refuseWhileDraining();
    await this.#admission.admit(call.tenant);
    try {
      const prepared = await this.#prepare(submit, call, call.idempotencyKey);
      return await this.#insert(prepared);
    } catch (error) {
      this.#admission.leave(call.tenant);
      throw error;
    }
  }

  async submitMany(submits: readonly SubmitTask[], call: CallContext = LIBRARY): Promise<readonly Answer[]> {
    this.#refuseWhileDraining();
    const prepared = await Promise.all(
      submits.map(async (submit, index) => {
        try {
          await this.#admission.admit(call.tenant);
          return await this.#prepare(submit, call, itemKey(call, index)).catch((error: unknown) => {
            this.#admission.leave(call.tenant);
            throw error;
          });
        } catch (error) {
          return toWireError(error);
        }
      }),
    );
    // all inserts leave in one turn, so that the store's group commit takes them together
    return Promise.all(
      prepared.map((item): Promise<Answer> => {
        if (!('task' in item)) return Promise.resolve({ ok: false, error: item });
        return this.#insert(item).then(
          (task): Answer => ({ ok: true, task }),
          (error: unknown): Answer => {
            this.#admission.leave(call.tenant);
            return { ok: false, error: toWireError(error) };
          },
        );
      }),
    );
  }

  async get(id: string, call: CallContext = LIBRARY): Promise<TaskView> {
    const task = await this.#read(id, call.tenant);
    const [attempts, waitingFor] = await Promise.all([
      this.#parts.store.attempts(task.id),
      task.waitingFor ?? (task.status === 'queued' ? this.waitingFor(task, call.tenant) : undefined),
    ]);
    return { ...task, attempts: [...attempts], ...(waitingFor ? { waitingFor } : {}) };
  }

  async list(filter: TaskListFilter, call: CallContext = LIBRARY): Promise<Page<TaskView>> {
    const limit = filter.limit ?? LIST_LIMIT;
    if (!Number.isInteger(limit) || limit < 1 || limit > LARGEST_LIST) {
      throw invalidInput('limit', `must be a whole number from 1 to ${LARGEST_LIST}`);
    }
    return this.#parts.store.list({ ...filter, tenant: call.tenant, limit });
  }

  async cancel(id: string, options: { graceMs?: number } = {}, call: CallContext = LIBRARY): Promise<CancelReport> {
    return this.#cancellation.cancel(this.#taskId(id), call.tenant, options.graceMs);
  }

  async redrive(id: string, call: CallContext = LIBRARY): Promise<TaskView> {
    const { store, dispatcher, bus } = this.#parts;
    const task = await this.#read(id, call.tenant);
    await this.#admission.admit(call.tenant);
    const back = await store.redrive(task.id, call.tenant).catch((error: unknown) => {
      this.#admission.leave(call.tenant);
      throw error;
    });
    if (!back) {
      this.#admission.leave(call.tenant);
      throw await this.#notRedriven(task, call.tenant);
    }
    const queue = await this.#queueOf(task, call.tenant);
    dispatcher.hint(queue);
    bus.publish({ type: 'queue', queue });
    return this.get(id, call);
  }

  async answer(id: string, answer: TaskAnswer, call: CallContext = LIBRARY): Promise<TaskView> {
    const { store, dispatcher, bus, feed } = this.#parts;
    const given = parseInput(taskAnswerSchema, answer);
    const task = await this.#read(id, call.tenant);
    const asked = task.question;
    const details = { taskId: task.id, status: task.status };
    if (!asked) throw new RuntimeError('input_not_found', 'the task asks nothing', { details });
    const closed = () => new RuntimeError('input_closed', 'this question is no longer open', { details });
    if ((given.question ?? asked.question) !== asked.question) throw closed();
    const value = given.value ?? null;
    const back = await store.answer(task.id, call.tenant, {
      question: asked.question,
      value: asked.schema ? parseInput(answerSchemaOf(asked.schema), value, 'value') : value,
      by: call.subject ?? null,
    });
    if (!back) throw closed();
    feed.publish(back.events);
    dispatcher.hint(back.queue);
    bus.publish({ type: 'queue', queue: back.queue });
    return this.get(id, call);
  }

  async inputs(
    { limit = LIST_LIMIT, ofSteps }: { limit?: number; ofSteps?: boolean } = {},
    call: CallContext = LIBRARY,
  ): Promise<readonly TaskInput[]> {
    const bounded = Math.min(Math.max(1, limit), LARGEST_LIST);
    return this.#parts.store.openInputs(call.tenant, { limit: bounded, ...(ofSteps === undefined ? {} : { ofSteps }) });
  }

  async wait(
    id: string,
    options: { timeoutMs: number; signal?: AbortSignal },
    call: CallContext = LIBRARY,
  ): Promise<TaskView> {
    if (!Number.isFinite(options.timeoutMs)) throw invalidInput('timeoutMs', 'must be a finite number of milliseconds');
    return this.#waits.wait(id, () => this.#read(id, call.tenant), options);
  }

  async #notRedriven({ id }: TaskView, tenant: string): Promise<RuntimeError> {
    const { status } = await this.#read(id, tenant);
    const why =
      status === 'dead' ? 'the workflow of this task has ended' : `only a dead task, not one that is ${status}`;
    return new RuntimeError('illegal_transition', `the task cannot go back to its queue: ${why}`, {
      details: { from: status, event: 'redrive' },
    });
  }

  /** The view names the agent that ran last; where the task waits was written when it was accepted. */
  async #queueOf({ id, capability }: TaskView, tenant: string): Promise<string> {
    const [accepted] = await this.#parts.events.read(id, tenant, 0, 1);
    return typeof accepted?.data.queue === 'string' ? accepted.data.queue : capability;
  }

  #refuseWhileDraining(): void {
    if (this.#parts.dispatcher.draining) {
      throw new RuntimeError('draining', 'this node is draining and takes no new tasks');
    }
  }

  async #prepare(submit: SubmitTask, call: CallContext, key: string | undefined): Promise<Prepared> {
    const { ambient, resolver } = this.#parts;
    const resolved = parseSubmit(submit, ambient.clock.nowMs());
    const pinned = await resolver.resolve(resolved, call.tenant);
    const inForce = key ?? resolved.idempotencyKey;
    const task = newTaskOf(ambient.newId('task'), resolved, pinned, {
      tenant: call.tenant,
      ...traceOf(call),
      ...(inForce === undefined ? {} : { key: inForce }),
    });
    return { task };
  }

  /** Inserts, with the lease when a slot is free here: that saves the claim's round trip and its commit. */
  async #insert({ task }: Prepared): Promise<TaskView> {
    const { store, dispatcher } = this.#parts;
    const slot = startsNow(task) ? dispatcher.reserve(task.queue) : undefined;
    let answer: SubmitOutcome;
    try {
      answer = await store.submit(task, { claim: slot !== undefined });
    } catch (error) {
      if (slot) {
        dispatcher.unreserve(slot);
        dispatcher.suspectClaims();
      }
      throw error;
    }
    return this.#accepted(task, answer, slot);
  }

  #accepted(task: NewTask, answer: SubmitOutcome, slot: TakenSlot | undefined): TaskView {
    const { dispatcher, feed, bus, onScheduled } = this.#parts;
    const claimed = answer.outcome === 'accepted' ? answer.claimed : undefined;
    if (answer.outcome === 'accepted') feed.publish(answer.events);
    if (claimed) dispatcher.accept([claimed], slot);
    else if (slot) dispatcher.unreserve(slot);
    switch (answer.outcome) {
      case 'mismatch':
        throw new RuntimeError('idempotency_mismatch', 'this idempotency key was used with another body', {
          details: { key: task.idempotency?.key },
        });
      case 'duplicate':
        this.#admission.leave(task.tenant);
        return answer.task;
      default:
        if (answer.task.status === 'scheduled') onScheduled?.(this.#dueInMs(task));
        else if (!claimed) {
          dispatcher.hint(task.queue);
          bus.publish({ type: 'queue', queue: task.queue });
        }
        return answer.task;
    }
  }

  #dueInMs({ delayMs, runAt }: NewTask): number {
    return delayMs ?? (runAt === undefined ? 0 : Math.max(0, Date.parse(runAt) - this.#parts.ambient.clock.nowMs()));
  }

  async #read(id: string, tenant: string): Promise<TaskView> {
    const task = await this.#parts.store.get(this.#taskId(id), tenant);
    if (!task) throw notFound(id);
    return task;
  }

  #taskId(id: string): TaskId {
    if (!isId('task', id)) throw notFound(id);
    return id;
  }

  /** Why a queued task does not start, as far as this node knows. */
  waitingFor(task: Pick<TaskView, 'id' | 'capability'>, tenant: string): Promise<string | undefined> {
    return waitingReason(this.#parts, task, tenant);
  }
}
