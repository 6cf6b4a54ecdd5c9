// Questions and messages that nobody will take: every asker hears of it, and so do the dead letters.

import type { DeadLetter, DeadLetterReason, Message } from '../contracts/envelope.ts';
import { type WireError, wireError } from '../contracts/errors.ts';
import { Delivered, letterOf } from '../transport/envelope.ts';
import type { Peer } from '../transport/peer.ts';
import type { Cell } from './cell.ts';
import { crashedError } from './cell-context.ts';
import type { DurableMail } from './durable-mail.ts';

const SWEEP_OPEN_ASKS = 1_024;

export interface OpenAsksOwner {
  readonly peer: Peer;
  readonly durable: DurableMail;
  readonly env: { readonly nowMs: () => number; readonly clock: { monotonicMs(): number } };
  deadLetter(letter: DeadLetter): void;
}

export class OpenAsks {
  readonly #owner: OpenAsksOwner;

  constructor(owner: OpenAsksOwner) {
    this.#owner = owner;
  }

  /** Notes a question that came in; every now and then those whose time is over are let go. */
  open(cell: Cell, message: Delivered, timeoutMs: number): void {
    const now = this.#owner.env.clock.monotonicMs();
    if (cell.openAsks.size >= SWEEP_OPEN_ASKS && cell.openAsks.size % SWEEP_OPEN_ASKS === 0) {
      for (const [id, open] of cell.openAsks) if (open.dueAtMs < now) cell.openAsks.delete(id);
    }
    cell.openAsks.set(message.correlationId ?? '', { message, dueAtMs: now + timeoutMs, taken: false });
  }

  /** Answers the questions of an incarnation that has ended. */
  fail(cell: Cell, phase: 'failed' | 'ended', reason: WireError): void {
    for (const [id, open] of [...cell.openAsks]) {
      // A question that waits in the mailbox is still answered by the next incarnation.
      if (phase === 'failed' && !open.taken) continue;
      const route = Delivered.route(open.message);
      const answer = phase === 'failed' ? crashedError(cell, reason.message) : reason;
      if (route) this.#owner.peer.replyError(route.correlation, route.origin, answer);
      cell.openAsks.delete(id);
    }
  }

  /** A message that was in a mailbox and will not be handled. */
  discard(cell: Cell, message: Delivered, reason: DeadLetterReason, error: WireError): void {
    if (message.durable) {
      cell.durables--;
      this.#owner.durable.giveBack(cell, message);
      return;
    }
    this.deadLetterOf(cell, message, reason);
    if (message.correlationId === undefined || !cell.openAsks.delete(message.correlationId)) return;
    const route = Delivered.route(message);
    if (route) this.#owner.peer.replyError(route.correlation, route.origin, error);
  }

  dropOldest(cell: Cell, oldest: Delivered): void {
    cell.refused++;
    this.discard(cell, oldest, 'dropped_oldest', wireError('mailbox_full', 'dropped from a full mailbox'));
  }

  deadLetterOf(cell: Cell, message: Message, reason: DeadLetterReason): void {
    const { from, type, body, messageId } = message;
    const atMs = Math.round(this.#owner.env.nowMs());
    this.#owner.deadLetter(letterOf({ to: cell.spec.id, from, type, body }, reason, messageId, atMs));
  }
}
