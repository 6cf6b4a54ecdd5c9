// A cell without a thread: records what a behaviour does, answers its requests as the test says. Time is manual.

import type { CellContext } from '../../runtime/contracts/actor.ts';
import type { Message, TellResult } from '../../runtime/contracts/envelope.ts';
import type { WireError } from '../../runtime/contracts/errors.ts';
import { type AgentId, fromUuid, type NodeId } from '../../runtime/contracts/ids.ts';
import type { TaskAssignment } from '../../runtime/contracts/task.ts';
import type { CellRequest, LogLine } from '../../runtime/contracts/wire.ts';
import { ManualClock } from './manual-clock.ts';

export const agentIdOf = (n: number): AgentId =>
  fromUuid('agent', `00000000-0000-7000-8000-${n.toString(16).padStart(12, '0')}`);

export interface FakeCellOptions {
  readonly type?: string;
  readonly config?: Record<string, unknown>;
  readonly capabilities?: readonly string[];
  readonly restored?: unknown;
  readonly paused?: boolean;
  /** Answers `request`; default: undefined to all. */
  readonly onRequest?: (request: CellRequest) => unknown;
  /** Answers `ask`; default: undefined to all. */
  readonly onAsk?: (to: AgentId, type: string, body: unknown) => unknown;
}

export type Transition = Parameters<CellContext['transition']>[0];

/** Everything a behaviour did, in order, by kind. */
export class FakeCell implements CellContext {
  readonly clock = new ManualClock();
  readonly id = agentIdOf(1);
  readonly type: string;
  readonly name = 'agent-1';
  readonly tenant = 'default';
  readonly node = fromUuid('node', '00000000-0000-7000-8000-0000000000aa') as NodeId;
  readonly thread = 7;
  readonly incarnation = 1;
  readonly config: Record<string, unknown>;
  readonly capabilities: readonly string[] | undefined;
  readonly restored: unknown;
  readonly paused: boolean;
  readonly logs: LogLine[] = [];
  readonly told: { to: AgentId; type: string; body: unknown }[] = [];
  readonly replies: { message: Message; body: unknown }[] = [];
  readonly errorReplies: { message: Message; error: WireError }[] = [];
  readonly deadLetters: { message: Message; reason: string }[] = [];
  readonly requests: CellRequest[] = [];
  readonly transitions: Transition[] = [];
  readonly failures: WireError[] = [];
  readonly outputs: unknown[] = [];
  readonly #options: FakeCellOptions;

  constructor(options: FakeCellOptions = {}) {
    this.#options = options;
    this.type = options.type ?? 'fake';
    this.config = options.config ?? {};
    this.capabilities = options.capabilities;
    this.restored = options.restored;
    this.paused = options.paused ?? false;
  }

  readonly nowMs = (): number => this.clock.nowMs();
  readonly random = (): number => 0.5;
  readonly setTimer = (delayMs: number, fn: () => void): (() => void) => this.clock.setTimeout(fn, delayMs);

  log(line: LogLine): void {
    this.logs.push(line);
  }
  tell(to: AgentId, type: string, body: unknown): void {
    this.told.push({ to, type, body });
  }
  async tellConfirmed(to: AgentId, type: string, body: unknown): Promise<TellResult> {
    this.tell(to, type, body);
    return { outcome: 'delivered', via: 'same-thread' };
  }
  async ask(to: AgentId, type: string, body: unknown): Promise<unknown> {
    return this.#options.onAsk?.(to, type, body);
  }
  reply(message: Message, body: unknown): void {
    this.replies.push({ message, body });
  }
  replyError(message: Message, error: WireError): void {
    this.errorReplies.push({ message, error });
  }
  deadLetter(message: Message, reason: 'no_handler' | 'filtered'): void {
    this.deadLetters.push({ message, reason });
  }
  async request(request: CellRequest): Promise<unknown> {
    this.requests.push(request);
    return this.#options.onRequest?.(request);
  }
  transition(change: Transition): void {
    this.transitions.push(change);
  }
  fail(error: WireError): void {
    this.failures.push(error);
  }
  done(output: unknown): void {
    this.outputs.push(output);
  }
  attribute<T>(fn: () => T): T {
    return fn();
  }
}

let messages = 0;

/** A told message. */
export function tellOf(type: string, body?: unknown): Message {
  return { messageId: `msg-${++messages}`, type, body, from: agentIdOf(99), protocol: 'direct' };
}

/** A message whose sender waits for the reply. */
export function askOf(type: string, body?: unknown): Message {
  const messageId = `msg-${++messages}`;
  return { messageId, type, body, from: agentIdOf(99), protocol: 'request-response', correlationId: messageId };
}

export function taskOf(capability: string, input?: unknown, more: Partial<TaskAssignment> = {}): TaskAssignment {
  return {
    taskId: fromUuid('task', `00000000-0000-7000-8000-${(++messages).toString(16).padStart(12, '0')}`),
    fence: 1,
    attempt: 1,
    capability,
    version: 1,
    input,
    timeoutMs: 60_000,
    idempotencyKey: 'key-1',
    tenant: 'default',
    ...more,
  };
}
