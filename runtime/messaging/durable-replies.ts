// Who waits for the replies to durable requests on this node. A reply is a row; hints and looks say when it may be there.

import { RuntimeError, type WireError } from '../contracts/errors.ts';
import type { Ambient, Dispose } from '../contracts/ports.ts';
import type { MessageStore } from '../contracts/store.ts';

export type Reply = { readonly value: unknown } | { readonly error: WireError };

export interface Waiting {
  /** Rejects with `ask_timeout`, or with the reason of the signal. */
  readonly reply: Promise<Reply>;
  /** It may be there already. */
  look(): void;
  /** Nobody waits any more. */
  end(): void;
}

interface Waiter {
  readonly tenant: string;
  readonly correlationId: string;
  readonly resolve: (reply: Reply) => void;
}

/** Questions that ran out, remembered so that their late replies are counted. */
const REMEMBERED = 10_000;

export class DurableReplies {
  readonly #store: Pick<MessageStore, 'replies'>;
  readonly #ambient: Ambient;
  readonly #pollMs: number;
  readonly #onLate: () => void;
  readonly #waiters = new Map<string, Set<Waiter>>();
  readonly #late = new Set<string>();
  #stopPolling: Dispose | undefined;
  #reading = false;
  #wanted = false;

  constructor(options: {
    readonly store: Pick<MessageStore, 'replies'>;
    readonly ambient: Ambient;
    /** Pace of looks while somebody waits. */
    readonly pollMs: number;
    /** A reply came after its question had run out. */
    readonly onLate: () => void;
  }) {
    this.#store = options.store;
    this.#ambient = options.ambient;
    this.#pollMs = options.pollMs;
    this.#onLate = options.onLate;
  }

  wait(
    tenant: string,
    correlationId: string,
    options: { readonly timeoutMs: number; readonly signal?: AbortSignal; readonly to: string; readonly type: string },
  ): Waiting {
    const { timeoutMs, signal, to, type } = options;
    const { clock } = this.#ambient;
    const key = `${tenant}\n${correlationId}`;
    let waiter: Waiter | undefined;
    let cancel: Dispose = () => undefined;
    const reply = new Promise<Reply>((resolve, reject) => {
      waiter = { tenant, correlationId, resolve };
      const abort = () => reject(signal?.reason);
      cancel = clock.setTimeout(() => {
        this.#rememberLate(key);
        const message = `no reply to ${type} from ${to} within ${timeoutMs} ms; it may still be handled`;
        reject(new RuntimeError('ask_timeout', message, { details: { to, type, timeoutMs, correlationId } }));
      }, timeoutMs);
      signal?.addEventListener('abort', abort, { once: true });
      if (signal?.aborted) abort();
    });
    // Whoever waits may have been refused before it looks here.
    reply.catch(() => undefined);
    if (waiter) this.#add(key, waiter);
    return {
      reply,
      look: () => void this.#read(),
      end: () => {
        cancel();
        if (waiter) this.#remove(key, waiter);
      },
    };
  }

  /** Replies were stored, here or elsewhere. */
  replied(tenant: string, correlationIds: readonly string[]): void {
    let wanted = false;
    for (const correlationId of correlationIds) {
      const key = `${tenant}\n${correlationId}`;
      if (this.#late.delete(key)) this.#onLate();
      wanted ||= this.#waiters.has(key);
    }
    if (wanted) void this.#read();
  }

  close(): void {
    this.#stopPolling?.();
    this.#stopPolling = undefined;
  }

  #add(key: string, waiter: Waiter): void {
    const those = this.#waiters.get(key);
    if (those) those.add(waiter);
    else this.#waiters.set(key, new Set([waiter]));
    this.#stopPolling ??= this.#ambient.clock.setInterval(() => void this.#read(), this.#pollMs);
  }

  #remove(key: string, waiter: Waiter): void {
    const those = this.#waiters.get(key);
    those?.delete(waiter);
    if (those?.size === 0) this.#waiters.delete(key);
    if (this.#waiters.size === 0) this.close();
  }

  #rememberLate(key: string): void {
    this.#late.add(key);
    if (this.#late.size <= REMEMBERED) return;
    for (const oldest of this.#late) {
      this.#late.delete(oldest);
      break;
    }
  }

  /** One look for all who wait; what is asked for meanwhile has the next one. */
  async #read(): Promise<void> {
    this.#wanted = true;
    if (this.#reading) return;
    this.#reading = true;
    try {
      while (this.#wanted && this.#waiters.size > 0) {
        this.#wanted = false;
        await this.#readOnce();
      }
    } catch (error) {
      this.#ambient.log.debug('replies could not be read', { error: String(error) });
    } finally {
      this.#reading = false;
    }
  }

  async #readOnce(): Promise<void> {
    const byTenant = new Map<string, Set<string>>();
    for (const those of this.#waiters.values()) {
      for (const { tenant, correlationId } of those) {
        const ids = byTenant.get(tenant) ?? new Set<string>();
        byTenant.set(tenant, ids.add(correlationId));
      }
    }
    for (const [tenant, ids] of byTenant) {
      for (const [correlationId, state] of await this.#store.replies(tenant, [...ids])) {
        if (state.state === 'pending') continue;
        const reply: Reply = state.state === 'replied' ? { value: state.reply } : { error: state.error };
        for (const waiter of this.#waiters.get(`${tenant}\n${correlationId}`) ?? []) waiter.resolve(reply);
      }
    }
  }
}
