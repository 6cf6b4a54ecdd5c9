// The objects behind the context types: one core per incarnation, one light view per message, task or event.

import type { CellContext, DurableOutcome } from '../../runtime/contracts/actor.ts';
import {
  type DurableTell,
  durableTellSchema,
  type Message,
  type TellResult,
} from '../../runtime/contracts/envelope.ts';
import { RuntimeError, TaskError, toWireError, type WireError } from '../../runtime/contracts/errors.ts';
import {
  type AskHuman,
  answerSchemaOf,
  type HumanQuestion,
  humanQuestionSchema,
} from '../../runtime/contracts/human-question.ts';
import type { AgentId, NodeId } from '../../runtime/contracts/ids.ts';
import type { FanOut, Selector } from '../../runtime/contracts/messages.ts';
import type { HandoffOutcome, TaskAssignment, TaskView } from '../../runtime/contracts/task.ts';
import { type TaskUsage, usageSchema } from '../../runtime/contracts/usage.ts';
import { parseInput } from '../../runtime/contracts/validation.ts';
import type { CellRequest, OutgoingMail } from '../../runtime/contracts/wire.ts';
import type { Condition } from '../../runtime/contracts/workflow.ts';
import type {
  AgentContext,
  AgentLog,
  AgentsOfAgent,
  DurableTimer,
  MessageContext,
  OwnSubscription,
  TaskContext,
  TasksOfAgent,
} from './context.ts';
import type { BidderSelf } from './options.ts';
import { frozen } from './state.ts';

const DEFAULT_ASK_TIMEOUT_MS = 5_000;
const DEFAULT_RESULT_TIMEOUT_MS = 60_000;

/** What all contexts of one incarnation share. */
export class AgentCore {
  readonly cell: CellContext;
  config: unknown;
  /** The state was assigned since it was last handed out to be saved. */
  dirty = false;
  /** Handlers of messages and events that threw. */
  handlerErrors = 0;
  readonly #self: (capability: string) => BidderSelf;
  #state: unknown;
  /** While a durable message is handled that has changed the state: how it was, what its handler made of it, and whether others changed it too. */
  #undo: { readonly before: unknown; last: unknown; mixed: boolean; readonly dirty: boolean } | undefined;
  #ended: AbortController | undefined;
  #hasEnded = false;
  #log: AgentLog | undefined;
  #timer: DurableTimer | undefined;
  #tasks: TasksOfAgent | undefined;
  #agents: AgentsOfAgent | undefined;

  constructor(cell: CellContext, state: unknown, self: (capability: string) => BidderSelf) {
    this.cell = cell;
    this.#self = self;
    this.#state = state;
  }

  get state(): unknown {
    return this.#state;
  }

  set state(next: unknown) {
    this.#state = frozen(next);
    this.dirty = true;
  }

  /** What a bidder is told of itself. */
  self(capability: string): BidderSelf {
    return this.#self(capability);
  }

  /** What is restored into the next incarnation; without what a durable message has changed whose handler is not done. */
  snapshot(): unknown {
    return { state: this.#undo && this.#undoable ? this.#undo.before : this.#state };
  }

  /** A change by the handler of a durable message: undone when it fails. */
  changeDurably(next: unknown): void {
    if (!this.#undo) this.#undo = { before: this.#state, last: undefined, mixed: false, dirty: this.dirty };
    else if (this.#undo.last !== this.#state) this.#undo.mixed = true;
    this.state = next;
    this.#undo.last = this.#state;
  }

  /** The handler of a durable message is done. Gives what makes the snapshot of the state it left; undefined when there is nothing to save. */
  keepDurable(): (() => unknown) | undefined {
    const changed = this.dirty || this.#undo !== undefined;
    this.#undo = undefined;
    if (!changed) return undefined;
    this.dirty = false;
    const state = this.#state;
    return () => ({ state });
  }

  /** The handler of a durable message failed: its changes are undone, unless a task has changed the state in between. */
  undoDurable(): void {
    const undo = this.#undo;
    if (undo && this.#undoable) {
      this.#state = undo.before;
      this.dirty = undo.dirty;
    }
    this.#undo = undefined;
  }

  get #undoable(): boolean {
    return this.#undo !== undefined && !this.#undo.mixed && this.#undo.last === this.#state;
  }

  async save(): Promise<void> {
    this.dirty = false;
    try {
      await this.cell.request({ type: 'agent.save', snapshot: this.snapshot() });
    } catch (error) {
      this.dirty = true;
      throw error;
    }
  }

  get ended(): AbortSignal {
    if (this.#ended === undefined) {
      this.#ended = new AbortController();
      if (this.#hasEnded) this.#ended.abort(stopped());
    }
    return this.#ended.signal;
  }

  end(): void {
    this.#hasEnded = true;
    this.#ended?.abort(stopped());
  }

  /** A handler of a message or event threw: counted and logged, and the agent lives on. */
  handlerFailed(what: string, error: unknown): void {
    this.handlerErrors++;
    const { code, message, stack } = toWireError(error, 'handler_failed');
    this.log.error(`${what} threw`, { code, error: message, ...(stack ? { stack } : {}) });
  }

  get log(): AgentLog {
    this.#log ??= logOf(this.cell);
    return this.#log;
  }

  get timer(): DurableTimer {
    this.#timer ??= {
      set: async (key, afterMs, body) => void (await this.cell.request({ type: 'timer.set', key, afterMs, body })),
      clear: async (key) => void (await this.cell.request({ type: 'timer.clear', key })),
    };
    return this.#timer;
  }

  get tasks(): TasksOfAgent {
    this.#tasks ??= {
      submit: (task) => this.request<TaskView>({ type: 'task.submit', task }),
      result: (taskId, options) =>
        this.request<TaskView>({
          type: 'task.result',
          taskId,
          timeoutMs: options?.timeoutMs ?? DEFAULT_RESULT_TIMEOUT_MS,
        }),
    };
    return this.#tasks;
  }

  get agents(): AgentsOfAgent {
    this.#agents ??= {
      spawn: (agentType, options) => this.request<AgentId>({ type: 'agent.spawn', agentType, ...options }),
      stop: async (id) => void (await this.cell.request({ type: 'agent.stop', id })),
      find: (capability) => this.request<readonly AgentId[]>({ type: 'agent.find', capability }),
      follow: async (capability) => void (await this.cell.request({ type: 'follow', capability })),
      unfollow: async (capability) => void (await this.cell.request({ type: 'unfollow', capability })),
    };
    return this.#agents;
  }

  /** The answers come from our own node, which validated them. */
  request<Answer>(request: CellRequest): Promise<Answer> {
    return this.cell.request(request) as Promise<Answer>;
  }

  sleep(delayMs: number, signal: AbortSignal): Promise<void> {
    return new Promise((resolve, reject) => {
      if (signal.aborted) {
        reject(signal.reason);
        return;
      }
      const onAbort = (): void => {
        cancel();
        reject(signal.reason);
      };
      const cancel = this.cell.setTimer(delayMs, () => {
        signal.removeEventListener('abort', onAbort);
        resolve();
      });
      signal.addEventListener('abort', onAbort, { once: true });
    });
  }
}

function subscriptionOf(wanted: string | OwnSubscription) {
  const { topic, type, where } = typeof wanted === 'string' ? { topic: wanted } : wanted;
  return {
    ...(topic === undefined ? {} : { topic }),
    ...(type === undefined ? {} : { messageType: type }),
    ...(where === undefined ? {} : { where }),
  };
}

function stopped(): RuntimeError {
  return new RuntimeError('agent_stopped', 'this incarnation of the agent has ended');
}

function logOf(cell: CellContext): AgentLog {
  const at =
    (level: 'debug' | 'info' | 'warn' | 'error') =>
    (message: string, fields?: Record<string, unknown>): void =>
      cell.log({ level, message, ...(fields ? { fields } : {}) });
  return { debug: at('debug'), info: at('info'), warn: at('warn'), error: at('error') };
}

/** The view that events, `init` and `terminate` get; base of the others. */
export class CoreContext implements AgentContext {
  protected readonly core: AgentCore;

  constructor(core: AgentCore) {
    this.core = core;
  }

  get id(): AgentId {
    return this.core.cell.id;
  }
  get type(): string {
    return this.core.cell.type;
  }
  get name(): string {
    return this.core.cell.name;
  }
  get tenant(): string {
    return this.core.cell.tenant;
  }
  get node(): NodeId {
    return this.core.cell.node;
  }
  get thread(): number {
    return this.core.cell.thread;
  }
  get incarnation(): number {
    return this.core.cell.incarnation;
  }
  get config(): unknown {
    return this.core.config;
  }
  get state(): Readonly<unknown> {
    return this.core.state as Readonly<unknown>;
  }
  set state(next: Readonly<unknown>) {
    this.core.state = next;
  }
  get signal(): AbortSignal {
    return this.core.ended;
  }
  get log(): AgentLog {
    return this.core.log;
  }
  get timer(): DurableTimer {
    return this.core.timer;
  }
  get tasks(): TasksOfAgent {
    return this.core.tasks;
  }
  get agents(): AgentsOfAgent {
    return this.core.agents;
  }

  nowMs(): number {
    return this.core.cell.nowMs();
  }
  random(): number {
    return this.core.cell.random();
  }
  tell(to: AgentId, type: string, body?: unknown): void;
  tell(to: AgentId, type: string, body: unknown, options: DurableTell): Promise<void>;
  tell(to: AgentId, type: string, body?: unknown, options?: DurableTell): void | Promise<void> {
    if (options?.durable) return this.tellDurably(to, type, body, options);
    this.core.cell.tell(to, type, body);
  }
  protected async tellDurably(to: AgentId, type: string, body: unknown, { maxAttempts }: DurableTell): Promise<void> {
    await this.core.cell.request({
      ...{ type: 'message.send', to, messageType: type, body },
      ...(maxAttempts === undefined ? {} : { maxAttempts }),
    });
  }
  tellConfirmed(to: AgentId, type: string, body?: unknown): Promise<TellResult> {
    return this.core.cell.tellConfirmed(to, type, body);
  }
  ask(
    to: AgentId,
    type: string,
    body?: unknown,
    options?: { readonly timeoutMs?: number; readonly signal?: AbortSignal },
  ): Promise<unknown> {
    return this.core.cell.ask(to, type, body, {
      timeoutMs: options?.timeoutMs ?? DEFAULT_ASK_TIMEOUT_MS,
      signal: options?.signal ?? this.signal,
    });
  }
  /** Of what is sent to many here; undefined: nothing led to it. */
  protected hops(): { readonly hops?: number } {
    return {};
  }
  publish(topic: string, type: string, body?: unknown): Promise<FanOut> {
    return this.core.request({ type: 'publish', topic, messageType: type, body, ...this.hops() });
  }
  broadcast(channel: string, type: string, body?: unknown): Promise<FanOut> {
    return this.core.request({ type: 'broadcast', channel, messageType: type, body, ...this.hops() });
  }
  multicast(select: Selector, type: string, body?: unknown): Promise<FanOut> {
    return this.core.request({ type: 'multicast', select, messageType: type, body, ...this.hops() });
  }
  async subscribe(topic: string | OwnSubscription): Promise<void> {
    await this.core.cell.request({ type: 'subscribe', ...subscriptionOf(topic) });
  }
  async unsubscribe(topic: string | OwnSubscription): Promise<void> {
    const { topic: pattern, messageType } = subscriptionOf(topic);
    await this.core.cell.request({
      type: 'unsubscribe',
      ...(pattern === undefined ? {} : { topic: pattern }),
      ...(messageType === undefined ? {} : { messageType }),
    });
  }
  async join(channel: string, options: { readonly where?: Condition } = {}): Promise<void> {
    await this.core.cell.request({ type: 'join', channel, ...(options.where ? { where: options.where } : {}) });
  }
  async leave(channel: string): Promise<void> {
    await this.core.cell.request({ type: 'leave', channel });
  }
  async watch(id: AgentId): Promise<void> {
    await this.core.cell.request({ type: 'watch', id });
  }
  async unwatch(id: AgentId): Promise<void> {
    await this.core.cell.request({ type: 'unwatch', id });
  }
  save(): Promise<void> {
    return this.core.save();
  }
  sleep(delayMs: number): Promise<void> {
    return this.core.sleep(delayMs, this.signal);
  }
}

/** Made per message, so that a reply after an await still answers the message it was made for. */
export class ReceivedContext extends CoreContext implements MessageContext {
  readonly message: Message;
  #answered = false;

  constructor(core: AgentCore, message: Message) {
    super(core);
    this.message = message;
  }

  protected override hops(): { readonly hops?: number } {
    const { protocol, hops = 0 } = this.message;
    const toMany = protocol !== 'direct' && protocol !== 'request-response';
    return toMany ? { hops: hops + 1 } : hops > 0 ? { hops } : {};
  }

  reply(body: unknown): boolean {
    if (this.message.correlationId === undefined || this.#answered) return false;
    this.#answered = true;
    this.core.cell.reply(this.message, body);
    return true;
  }

  /** What a bidding agent knows of itself. */
  bidder(capability: string): BidderSelf {
    return this.core.self(capability);
  }

  /** The body does not match its schema: who asked hears of it, a tell becomes a dead letter. */
  filter(error: unknown): void {
    if (!this.refuse(error)) this.core.cell.deadLetter(this.message, 'filtered');
    this.core.handlerFailed(`schema of ${this.message.type}`, error);
  }

  /** The handler threw: who asked hears of it. */
  refuse(error: unknown): boolean {
    if (this.message.correlationId === undefined || this.#answered) return false;
    this.#answered = true;
    this.core.cell.replyError(this.message, toWireError(error, 'handler_failed'));
    return true;
  }
}

/** The context of a durable message: what it changes and sends counts when its handler is done, or not at all. */
export class DurableContext extends ReceivedContext {
  #open = true;
  #refused: WireError | undefined;
  #filtered = false;
  readonly #out: OutgoingMail[] = [];

  override get state(): Readonly<unknown> {
    return super.state;
  }
  override set state(next: Readonly<unknown>) {
    if (this.#open) this.core.changeDurably(next);
    else this.core.state = next;
  }

  /** Nothing to be done: the state is saved with the acknowledgement of the message. */
  override async save(): Promise<void> {
    if (!this.#open) await super.save();
  }

  protected override async tellDurably(to: AgentId, type: string, body: unknown, options: DurableTell): Promise<void> {
    if (!this.#open) return super.tellDurably(to, type, body, options);
    const { maxAttempts } = parseInput(durableTellSchema, options, 'options');
    this.#out.push({ to, type, body, ...(maxAttempts === undefined ? {} : { maxAttempts }) });
  }

  override filter(error: unknown): void {
    this.#filtered = true;
    this.#refused = toWireError(error, 'invalid_input');
    this.core.handlerFailed(`schema of ${this.message.type}`, error);
  }

  override refuse(error: unknown): boolean {
    const wire = toWireError(error, 'handler_failed');
    const says = typeof error === 'object' && error !== null && 'retryable' in error;
    this.#refused ??= says ? wire : { ...wire, retryable: true };
    return true;
  }

  /** The handler is done, or has been refused the message. */
  end(): DurableOutcome {
    this.#open = false;
    if (this.#refused === undefined) {
      const snapshot = this.core.keepDurable();
      return { type: 'handled', out: this.#out, ...(snapshot ? { snapshot } : {}) };
    }
    this.core.undoDurable();
    return { type: 'failed', error: this.#refused, ...(this.#filtered ? { reason: 'filtered' } : {}) };
  }
}

const MAX_QUESTIONS = 100;
const reportSchema = usageSchema.omit({ calls: true });

export class AttemptContext extends CoreContext implements TaskContext {
  readonly #task: TaskAssignment;
  readonly #signal: AbortSignal;

  constructor(core: AgentCore, task: TaskAssignment, signal: AbortSignal) {
    super(core);
    this.#task = task;
    this.#signal = signal;
  }

  override get signal(): AbortSignal {
    return this.#signal;
  }
  get taskId(): string {
    return this.#task.taskId;
  }
  get attempt(): number {
    return this.#task.attempt;
  }
  get capability(): string {
    return this.#task.capability;
  }
  get timeoutMs(): number {
    return this.#task.timeoutMs;
  }
  get idempotencyKey(): string {
    return this.#task.idempotencyKey;
  }
  get workflowId(): string | undefined {
    return this.#task.workflowId;
  }
  get stepKey(): string | undefined {
    return this.#task.stepKey;
  }
  get traceparent(): string | undefined {
    return this.#task.traceparent;
  }

  #reported: { tokens?: number; cost?: number; messages?: number } | undefined;
  #sent = 0;

  /** What was used so far; undefined: nothing. */
  get used(): TaskUsage | undefined {
    if (this.#sent === 0) return this.#reported;
    return { ...this.#reported, messages: this.#sent + (this.#reported?.messages ?? 0) };
  }

  usage(used: TaskUsage): void {
    const { tokens, cost, messages } = parseInput(reportSchema, used, 'usage');
    const sum = this.#reported ?? {};
    if (tokens) sum.tokens = tokens + (sum.tokens ?? 0);
    if (cost) sum.cost = cost + (sum.cost ?? 0);
    if (messages) sum.messages = messages + (sum.messages ?? 0);
    if (!tokens && !cost && !messages) return;
    this.#reported = sum;
    // should this attempt be lost, what is known by then counts
    const { taskId, fence } = this.#task;
    const usage = { ...this.used };
    this.core.cell.request({ type: 'task.usage', taskId, fence, usage }).catch((error) => {
      this.core.log.debug('what was used was not taken', { taskId, error: toWireError(error).message });
    });
  }

  override tell(to: AgentId, type: string, body?: unknown): void;
  override tell(to: AgentId, type: string, body: unknown, options: DurableTell): Promise<void>;
  override tell(to: AgentId, type: string, body?: unknown, options?: DurableTell): void | Promise<void> {
    this.#sent++;
    if (options?.durable) return this.tellDurably(to, type, body, options);
    super.tell(to, type, body);
  }
  override tellConfirmed(to: AgentId, type: string, body?: unknown): Promise<TellResult> {
    this.#sent++;
    return super.tellConfirmed(to, type, body);
  }
  override ask(...question: Parameters<CoreContext['ask']>): Promise<unknown> {
    this.#sent++;
    return super.ask(...question);
  }
  override publish(topic: string, type: string, body?: unknown): Promise<FanOut> {
    this.#sent++;
    return super.publish(topic, type, body);
  }
  override broadcast(channel: string, type: string, body?: unknown): Promise<FanOut> {
    this.#sent++;
    return super.broadcast(channel, type, body);
  }
  override multicast(select: Selector, type: string, body?: unknown): Promise<FanOut> {
    this.#sent++;
    return super.multicast(select, type, body);
  }

  /** Where its handler has given it, if it has. */
  handedTo: Omit<HandoffOutcome, 'runMs'> | undefined;

  handoff(to: string | { readonly capability: string }, input?: unknown, reason?: string): never {
    this.handedTo ??= {
      type: 'handed_off',
      to: typeof to === 'string' ? { agent: to } : { capability: to.capability },
      ...(input === undefined ? {} : { input: { value: input } }),
      ...(reason === undefined ? {} : { reason }),
    };
    throw new RuntimeError('handler_failed', 'the handler has handed its task on');
  }

  #asked = 0;
  #question: HumanQuestion | undefined;

  /** How the handler has left its task to others, if it has; the first way counts. */
  get left():
    | Omit<HandoffOutcome, 'runMs'>
    | { readonly type: 'waiting'; readonly question: HumanQuestion }
    | undefined {
    return this.handedTo ?? (this.#question && { type: 'waiting', question: this.#question });
  }

  async askHuman(asked: AskHuman): Promise<unknown> {
    const at = this.#asked++;
    const question = parseInput(humanQuestionSchema, asked, 'askHuman');
    if (question.schema) answerSchemaOf(question.schema);
    const answer = this.#task.answers?.[at];
    if (answer) {
      if ('expired' in answer) throw new RuntimeError('input_expired', `nobody answered in time: ${question.prompt}`);
      return answer.value;
    }
    if (at >= MAX_QUESTIONS)
      throw new TaskError('question_limit', `the task asks more than ${MAX_QUESTIONS} questions`, { retryable: false });
    this.#question ??= question;
    throw new RuntimeError('handler_failed', 'the handler waits for a person');
  }

  progress(progress: unknown): void {
    const { taskId, fence } = this.#task;
    this.core.cell
      .request({ type: 'task.progress', taskId, fence, progress })
      .catch((error) => this.core.log.warn('progress was not taken', { taskId, error: toWireError(error).message }));
  }
}
