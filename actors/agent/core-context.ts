// The view that everything in an agent has of it: who it is, its state, and whom it can speak to.

import type { DurableTell, TellResult } from '../../runtime/contracts/envelope.ts';
import type { AgentId, NodeId } from '../../runtime/contracts/ids.ts';
import type { FanOut, Selector } from '../../runtime/contracts/messages.ts';
import type { Condition } from '../../runtime/contracts/workflow.ts';
import type { AgentCore } from './agent-core.ts';
import type { AgentContext, AgentLog, AgentsOfAgent, DurableTimer, OwnSubscription, TasksOfAgent } from './context.ts';

const DEFAULT_ASK_TIMEOUT_MS = 5_000;

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

function subscriptionOf(wanted: string | OwnSubscription) {
  const { topic, type, where } = typeof wanted === 'string' ? { topic: wanted } : wanted;
  return {
    ...(topic === undefined ? {} : { topic }),
    ...(type === undefined ? {} : { messageType: type }),
    ...(where === undefined ? {} : { where }),
  };
}
