// What handlers get: the typed view of one agent, and what is particular to a message, a task, an event.
// Only what works is here; agents that need more (a model, an index) import it.

import type { DurableTell, Message, TellResult } from '../../runtime/contracts/envelope.ts';
import type { AskHuman } from '../../runtime/contracts/human-question.ts';
import type { AgentId, NodeId } from '../../runtime/contracts/ids.ts';
import type { FanOut, Selector } from '../../runtime/contracts/messages.ts';
import type { SubmitTask, TaskView } from '../../runtime/contracts/task.ts';
import type { TaskUsage } from '../../runtime/contracts/usage.ts';
import type { Condition } from '../../runtime/contracts/workflow.ts';

/** What an agent wants to get: by topic, by type of message, or both; and only if a condition holds. */
export interface OwnSubscription {
  readonly topic?: string;
  readonly type?: string;
  readonly where?: Condition;
}

export interface AgentLog {
  debug(message: string, fields?: Record<string, unknown>): void;
  info(message: string, fields?: Record<string, unknown>): void;
  warn(message: string, fields?: Record<string, unknown>): void;
  error(message: string, fields?: Record<string, unknown>): void;
}

/** Timers that survive a crash of the thread and of the node. They fire as the event `timer`. */
export interface DurableTimer {
  /** At most one timer per key: setting it again replaces it. Resolves once it is stored. */
  set(key: string, afterMs: number, body?: unknown): Promise<void>;
  clear(key: string): Promise<void>;
}

/** Durable work for whichever agent offers the capability. */
export interface TasksOfAgent {
  /** Resolves once the task is stored. */
  submit(task: SubmitTask): Promise<TaskView>;
  /** The terminal task, or the task as it is when `timeoutMs` (default 60 s) is over. */
  result(taskId: string, options?: { readonly timeoutMs?: number }): Promise<TaskView>;
}

export interface AgentsOfAgent {
  /** Resolves with its id once it runs. */
  spawn(
    type: string,
    options?: { readonly name?: string; readonly config?: Record<string, unknown> },
  ): Promise<AgentId>;
  stop(id: AgentId): Promise<void>;
  /** Agents that offer a capability and take work now. */
  find(capability: string): Promise<readonly AgentId[]>;
  /** The event `offers` tells who offers it, and every change of that, until {@link unfollow} or the end of the agent. */
  follow(capability: string): Promise<void>;
  unfollow(capability: string): Promise<void>;
}

/** What every handler can use. Methods belong to the object: call them on `ctx`. */
export interface AgentContext<State = unknown, Config = unknown> {
  readonly id: AgentId;
  readonly type: string;
  readonly name: string;
  readonly tenant: string;
  readonly node: NodeId;
  readonly thread: number;
  readonly incarnation: number;
  /** The parsed config, defaults included. A new object after each change of it. */
  readonly config: Config;
  /**
   * Durable state: plain data, read-only. Assign a new value to change it. It is saved with the next completed task,
   * by {@link save} and when the agent is drained, and is there again after a restart.
   */
  get state(): Readonly<State>;
  set state(next: Readonly<State>);
  /** Aborts when the task is cancelled or out of time; outside a task, when this incarnation ends. */
  readonly signal: AbortSignal;
  readonly log: AgentLog;
  readonly timer: DurableTimer;
  readonly tasks: TasksOfAgent;
  readonly agents: AgentsOfAgent;
  nowMs(): number;
  /** Uniform in [0, 1). */
  random(): number;
  /** At most once, order kept per receiver. A refusal comes back as the event `undelivered`. Never throws. */
  tell(to: AgentId, type: string, body?: unknown): void;
  /**
   * Durable: at least once, in order per sender and receiver, until its handler is done; what that changes of its agent's state is saved
   * in the same commit, so that its effect there is one. Resolves once the message is stored. In the handler of a durable message it
   * resolves at once and the message is stored with what else that handler does, or not at all. Rejects with `actor_not_found`,
   * `store_unavailable` (outcome unknown), `invalid_input` for a body that is no JSON.
   */
  tell(to: AgentId, type: string, body: unknown, options: DurableTell): Promise<void>;
  /** The same, with what became of it. */
  tellConfirmed(to: AgentId, type: string, body?: unknown): Promise<TellResult>;
  /** Rejects with `ask_timeout` (default 5 s), `actor_not_found`, `mailbox_full`, `target_lost`, or what the handler threw. */
  ask(
    to: AgentId,
    type: string,
    body?: unknown,
    options?: { readonly timeoutMs?: number; readonly signal?: AbortSignal },
  ): Promise<unknown>;
  /**
   * To everybody whose subscription fits the topic, this agent too if its own does: at most once each. Resolves once the node has sent it.
   * Rejects with `invalid_input` (a topic has no spaces and no `*`), `payload_too_large`, `hop_limit`.
   */
  publish(topic: string, type: string, body?: unknown): Promise<FanOut>;
  /** To every member of a channel, this agent too if it is one: at most once each. Rejects with `channel_not_found`, `filtered` and as {@link publish}. */
  broadcast(channel: string, type: string, body?: unknown): Promise<FanOut>;
  /** To every agent of the tenant for which all of the selector holds. Rejects as {@link broadcast}. */
  multicast(select: Selector, type: string, body?: unknown): Promise<FanOut>;
  /**
   * What is published to topics that fit comes to this agent's handlers: `orders.created`, `orders.*` (one segment), `orders.**` (one or
   * more), or `{ topic, type, where }` by type of message and condition. Kept until it is ended or the agent is removed, restarts included.
   * Rejects with `invalid_input`.
   */
  subscribe(topic: string | OwnSubscription): Promise<void>;
  unsubscribe(topic: string | Omit<OwnSubscription, 'where'>): Promise<void>;
  /** Makes this agent a member of a channel or group; `where`: only messages for which it holds. Rejects with `channel_not_found`. */
  join(channel: string, options?: { readonly where?: Condition }): Promise<void>;
  leave(channel: string): Promise<void>;
  /** Exactly one event `terminated` when that agent ends, in whichever way. */
  watch(id: AgentId): Promise<void>;
  unwatch(id: AgentId): Promise<void>;
  /** Writes the state now. Resolves once it is stored. */
  save(): Promise<void>;
  /** Resolves after `delayMs`; rejects with the abort reason as soon as {@link signal} aborts. */
  sleep(delayMs: number): Promise<void>;
}

export interface MessageContext<State = unknown, Config = unknown> extends AgentContext<State, Config> {
  readonly message: Message;
  /**
   * Answers an ask; may be called later than the handler's end. False when nobody waits: a tell, or answered already.
   * A handler may as well return the answer.
   */
  reply(body: unknown): boolean;
}

export interface TaskContext<State = unknown, Config = unknown> extends AgentContext<State, Config> {
  readonly taskId: string;
  /** From 1; grows with every try of this task. */
  readonly attempt: number;
  readonly capability: string;
  readonly timeoutMs: number;
  /** The same for all attempts: give it to tools as their idempotency key. */
  readonly idempotencyKey: string;
  readonly workflowId: string | undefined;
  readonly stepKey: string | undefined;
  readonly traceparent: string | undefined;
  /** Shows how far this attempt is; the latest wins. Lost when the node dies. */
  progress(progress: unknown): void;
  /**
   * Asks a person and gives the answer, checked against `schema`. Until there is one the task is `waiting`: this attempt ends, its slot
   * is free and it is not charged; state that was not saved is not kept. With the answer (`POST /api/agents/tasks/{id}/input`) the task
   * is queued again and its handler **runs again from its start**, where this call returns the answer. Answers belong to calls by
   * their order, so ask in the same order each time, and keep effects before a question idempotent. Rejects with `input_expired` when
   * nobody answered within `expiresMs` (7 days). At most 100 questions a task. `queueTimeoutMs` does not count while it waits; `deadlineMs` does.
   */
  askHuman(question: AskHuman): Promise<unknown>;
  /**
   * Adds to what this attempt has used: kept with the task however the attempt ends (unless its thread dies under it), summed over its
   * attempts, and counted against the budget of its run. What the shipped model uses, and messages sent by this context, are counted
   * without it. Throws `invalid_input` for anything but numbers from 0 on.
   */
  usage(used: TaskUsage): void;
  /**
   * Ends this attempt by giving the task to another agent (id or name in the tenant), or to whoever offers a capability: it goes
   * back to the queue under its id, in its workflow's step, with `input` or as it was, and the attempt is not charged. Does not
   * return: it throws what the runtime knows, and a handler that catches that has handed over all the same. At most 10 times a
   * task, then it fails with `handoff_limit`; an addressee nobody knows fails it with `actor_not_found` or `unknown_capability`.
   * This is what other frameworks call a swarm of agents that hand off; here it works inside every pattern.
   */
  handoff(to: string | { readonly capability: string }, input?: unknown, reason?: string): never;
}
