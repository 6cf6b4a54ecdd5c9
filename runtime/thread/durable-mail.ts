// Durable messages inside a thread: given to handlers one by one, reported to main at the end of the turn with the state they left.
// What is handled is never handled again by this incarnation, unless main is told that it was not.

import type { DurableOutcome } from '../contracts/actor.ts';
import type { WireError } from '../contracts/errors.ts';
import type { DurableReport } from '../contracts/wire.ts';
import { Delivered } from '../transport/envelope.ts';
import type { Peer } from '../transport/peer.ts';
import type { Cell } from './cell.ts';

export interface DurableMailOwner {
  readonly peer: Peer;
  readonly env: { readonly turn: { atEnd(fn: () => void): void } };
}

/** A message whose handler is done and whose report waits for the end of the turn. */
interface Done {
  readonly cell: Cell;
  readonly message: Delivered;
  readonly outcome: DurableOutcome;
  readonly reply: { readonly body: unknown } | undefined;
}

export class DurableMail {
  readonly #owner: DurableMailOwner;
  #done: Done[] = [];

  constructor(owner: DurableMailOwner) {
    this.#owner = owner;
  }

  /** The turn of a durable message. A promise holds the following messages back, as with any other. */
  receive(cell: Cell, message: Delivered): void | Promise<void> {
    const { behavior } = cell;
    const mark = message.durable;
    if (!behavior || !mark) return;
    const heldUp = cell.lanes.get(mark.lane);
    if (heldUp !== undefined) {
      if (mark.generation <= heldUp) {
        this.#report(message, { type: 'skipped' });
        return;
      }
      // Main's own order: nothing older of this lane can come any more.
      cell.lanes.delete(mark.lane);
    }
    cell.inHand = { message, reply: undefined };
    let outcome: DurableOutcome | Promise<DurableOutcome>;
    if (behavior.receiveDurable) outcome = behavior.receiveDurable(message);
    else {
      const snapshot = () => behavior.snapshot();
      const received = behavior.receive(message);
      const handled = { type: 'handled', snapshot, out: [] } as const;
      outcome = received === undefined ? handled : received.then(() => handled);
    }
    if ('then' in outcome) return outcome.then((settled) => this.#ended(cell, message, settled));
    this.#ended(cell, message, outcome);
  }

  /** Keeps the reply of a request until its handler is done. False when it is not the message in hand. */
  reply(cell: Cell, message: unknown, body: unknown): boolean {
    const { inHand } = cell;
    if (!inHand || inHand.message !== message || inHand.reply) return false;
    inHand.reply = { body };
    return true;
  }

  /** It will not be handled here: the rest of its lane must not overtake it. */
  giveBack(cell: Cell, message: Delivered): void {
    holdUp(cell, message);
    this.#report(message, { type: 'returned' });
  }

  /** It was refused before it came in; main is told by the refusal. */
  refused(cell: Cell, message: Delivered): void {
    holdUp(cell, message);
  }

  /** The life of a cell ends: what is done is told, what is in hand has failed or, at a stop, counts as not begun. */
  cellEnds(cell: Cell, phase: 'failed' | 'ended', error: WireError): void {
    if (this.#done.length > 0) this.#flush();
    const { inHand } = cell;
    cell.inHand = null;
    if (!inHand) return;
    holdUp(cell, inHand.message);
    if (phase === 'failed') this.#report(inHand.message, { type: 'failed', error });
    else this.#report(inHand.message, { type: 'returned' });
  }

  #ended(cell: Cell, message: Delivered, outcome: DurableOutcome): void {
    const { inHand } = cell;
    // The incarnation that had it has ended meanwhile: it was told as failed.
    if (!inHand || inHand.message !== message) return;
    cell.inHand = null;
    if (outcome.type === 'failed') holdUp(cell, message);
    this.#done.push({ cell, message, outcome, reply: inHand.reply });
    if (this.#done.length === 1) this.#owner.env.turn.atEnd(() => this.#flush());
  }

  /** Of the states that messages of one turn have left only the last one is told. */
  #flush(): void {
    const all = this.#done;
    this.#done = [];
    const states = new Map<Cell, { at: number; state: unknown; lost: boolean }>();
    all.forEach(({ cell, outcome }, at) => {
      if (outcome.type === 'handled' && outcome.snapshot)
        states.set(cell, { at, state: outcome.snapshot, lost: false });
    });
    for (const last of states.values()) {
      try {
        last.state = (last.state as () => unknown)();
      } catch {
        last.lost = true;
      }
    }
    all.forEach(({ cell, message, outcome, reply }, at) => {
      const last = states.get(cell);
      if (outcome.type === 'failed') this.#report(message, outcome);
      else if (last?.lost && at <= last.at) this.giveBack(cell, message);
      else this.#report(message, reportOf(outcome, reply, at, last));
    });
  }

  #report(message: Delivered, report: DurableReport): void {
    const route = Delivered.route(message);
    if (!route) return;
    this.#owner.peer.reply(route.correlation, route.origin, report);
  }
}

function reportOf(
  { out }: Extract<DurableOutcome, { type: 'handled' }>,
  reply: Done['reply'],
  at: number,
  last: { readonly at: number; readonly state: unknown } | undefined,
): DurableReport {
  const told = { type: 'handled', ...(out.length > 0 ? { out } : {}), ...(reply ? { reply } : {}) } as const;
  if (last === undefined || at > last.at || last.state === undefined) return told;
  return at < last.at ? { ...told, covered: true } : { ...told, snapshot: last.state };
}

function holdUp(cell: Cell, { durable }: Delivered): void {
  if (!durable) return;
  const before = cell.lanes.get(durable.lane) ?? 0;
  cell.lanes.set(durable.lane, Math.max(before, durable.generation));
}
