// Durable messages between the parts of a node: what is accepted, and the door that takes it. Implemented by messaging/durable-messages.ts.

import type { MessageWay, Protocol, StoredTell } from './envelope.ts';
import type { WireError } from './errors.ts';
import type { AgentId } from './ids.ts';

/** A message to be kept until its addressee has handled it. */
export interface DurableSend {
  readonly tenant: string;
  readonly to: AgentId;
  /** The sending actor as the runtime knows it. */
  readonly from?: AgentId;
  /** Who sends from outside: the messages of one caller keep their order. */
  readonly subject?: string;
  readonly type: string;
  /** Anything that JSON can hold. */
  readonly body: unknown;
  /** Default `direct`. */
  readonly protocol?: Protocol;
  readonly traceparent?: string;
  /** Of a message to many. */
  readonly via?: MessageWay;
  /** Default 5. */
  readonly maxAttempts?: number;
  /** The same key is the same message; for a message to many it is one key for all of them. */
  readonly idempotencyKey?: string;
}

export interface DurableAsk extends DurableSend {
  readonly timeoutMs: number;
  readonly signal?: AbortSignal;
  /** The same correlation is the same question: within ten minutes after the reply it is answered the same. Default: a new one. */
  readonly correlationId?: string;
}

/** Takes messages that are kept until they are handled. */
export interface DurableDoor {
  /**
   * Committed when it resolves; at least once, in order per sender and receiver, and one effect in the receiver's saved state.
   * @throws RuntimeError `actor_not_found`, `idempotency_mismatch`, `invalid_input` (a body that is no JSON), `store_unavailable` (whether it
   * was stored is unknown: say it again with an idempotency key).
   */
  send(message: DurableSend): Promise<StoredTell>;
  /** To many, each for itself: committed when it resolves. Answers in the order of the messages. */
  sendAll(messages: readonly DurableSend[]): Promise<readonly DurableSent[]>;
  /**
   * The first reply to this correlation, whenever it was given. A timeout leaves the outcome unknown: asking again with the same correlation
   * asks nobody twice.
   * @throws RuntimeError as {@link send}, `ask_timeout`, and what the handler threw at its last attempt.
   */
  ask(message: DurableAsk): Promise<{ readonly reply: unknown; readonly replayed: boolean }>;
}

export type DurableSent =
  | { readonly ok: true; readonly value: StoredTell }
  | { readonly ok: false; readonly error: WireError };
