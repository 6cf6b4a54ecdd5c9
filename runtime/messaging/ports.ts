// What the router needs of others: a way to single agents, and the agents' part of the store.

import type { CallContext } from '../contracts/call.ts';
import type { DurableTell, Protocol, StoredTell, TellResult } from '../contracts/envelope.ts';
import type { AgentId } from '../contracts/ids.ts';

/** What goes with a message besides its type and body. */
export interface Sending {
  readonly protocol: Protocol;
  readonly from?: AgentId;
  readonly traceparent?: string;
  readonly topic?: string;
  readonly channel?: string;
  /** How many messages to many led to this one. */
  readonly hops?: number;
}

/** Carries messages to agents, wherever they live (implemented by pool/). */
export interface Post {
  /** Nobody is told what becomes of them: refusals are dead letters. */
  tellMany(to: readonly AgentId[], type: string, body: unknown, sending: Sending): void;
  tell(to: AgentId, type: string, body: unknown, sending: Sending): Promise<TellResult>;
}

/** Agents by id or name, as the API offers them. */
export interface Correspondents {
  tell(idOrName: string, type: string, body: unknown, call?: CallContext): Promise<TellResult>;
  tell(idOrName: string, type: string, body: unknown, call: CallContext & DurableTell): Promise<StoredTell>;
  askDurably(
    idOrName: string,
    type: string,
    body: unknown,
    options: { timeoutMs: number; correlationId?: string },
    call: CallContext,
  ): Promise<{ readonly reply: unknown; readonly replayed: boolean }>;
  ask(
    idOrName: string,
    type: string,
    body: unknown,
    options: { timeoutMs: number; signal?: AbortSignal },
    call?: CallContext,
  ): Promise<unknown>;
}
