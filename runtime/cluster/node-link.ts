// The link to one other node: an outbox, batches on their way, acknowledgements, and sending again what was not taken. Over a lossy way
// it keeps order and takes every batch once, as long as both nodes live; what it cannot get through in time ends as `unknown`.

import type { DeadLetterReason } from '../contracts/envelope.ts';
import type { NodeId } from '../contracts/ids.ts';
import type { NodeWire } from '../contracts/messaging.ts';
import type { Clock, Dispose } from '../contracts/ports.ts';
import { Queue } from '../transport/queue.ts';
import { type BatchAnswer, type Frame, Names, type Parcel, portableParcel, type Refusal } from './frames.ts';
import { InOrder } from './in-order.ts';

/** How a parcel ended. `taken`: the other node has it where it belongs. `unsent`: it never left, the node is gone. */
export type Ending =
  | { readonly type: 'taken' }
  | { readonly type: 'refused'; readonly reason: DeadLetterReason | 'gone'; readonly detail?: string }
  | { readonly type: 'unknown' }
  | { readonly type: 'unsent' };

/** Something to be carried, told how it ended exactly once. */
export interface Cargo {
  /** Made when it is sent: what was waiting longer carries less time. */
  parcel(): Parcel;
  /** On the monotonic clock; it is not sent and not waited for any longer. */
  readonly dueAtMs: number;
  ended(ending: Ending, order: number): void;
}

export interface LinkOwner {
  readonly wire: NodeWire;
  readonly clock: Clock;
  /** Takes one parcel of the other node; `decide` is called exactly once, in any order. */
  take(link: NodeLink, parcel: Parcel, decide: (refused?: readonly [DeadLetterReason | 'gone', string?]) => void): void;
  readonly counters: LinkCounters;
}

export interface LinkCounters {
  messagesOut: number;
  messagesIn: number;
  framesOut: number;
  framesIn: number;
  duplicates: number;
  resent: number;
  unknown: number;
}

/** Messages a batch. */
const BATCH = 256;
/** A frame that is larger is split; a single message beyond it is refused with `payload_too_large`. */
export const MAX_FRAME_BYTES = 8 * 1024 * 1024;
/** Messages on their way that the other node has not taken yet. */
const WINDOW = 16_384;
/** Messages on their way whose end is not known, taken or not. */
const OPEN_LIMIT = 65_536;
/** Messages that wait to be sent; beyond it they are refused. */
export const OUTBOX_LIMIT = 65_536;
/** Without any progress for this long what was not taken is sent again; then twice as long, up to the most. */
const RESEND_MS = 600;
const RESEND_MOST_MS = 2_000;
/** Between two times that batches are sent again because the other side misses one. */
const GAP_MS = 50;
/** How often ends of time are looked at while something is under way. */
const TICK_MS = 100;
/** What was taken is acknowledged after this long though parts of it are not decided. */
const LATE_ACK_MS = 50;

const TAKEN: Ending = { type: 'taken' };
const UNKNOWN: Ending = { type: 'unknown' };
const UNSENT: Ending = { type: 'unsent' };
const NOTHING: readonly Refusal[] = [];
/** Says that a batch is missing before one that came; no batch has the number 0. */
const GAP: BatchAnswer = [0, NOTHING];

interface Batch {
  readonly sequence: number;
  readonly cargo: readonly Cargo[];
  readonly order: number;
  readonly dueAtMs: number;
  readonly sealed: Uint8Array;
  taken: boolean;
  /** It may have left: a send of it did not surely fail. */
  left: boolean;
}

export class NodeLink {
  readonly node: NodeId;
  /** Its number among the links of this node, for what the asks note. */
  readonly id: number;
  open = true;
  readonly #owner: LinkOwner;
  readonly #outbox = new Queue<Cargo>();
  /** In the order of their numbers. */
  readonly #batches = new Map<number, Batch>();
  readonly #in = new InOrder();
  #answers: BatchAnswer[] = [];
  #sequence = 0;
  /** Cargo that was put into batches so far. */
  #packed = 0;
  /** Of the cargo in batches: not taken, and not ended. */
  #untaken = 0;
  #unended = 0;
  #ackDue = false;
  #flushing = false;
  #progressAtMs = 0;
  #resentAtMs = 0;
  #patienceMs = RESEND_MS;
  #tick: Dispose | undefined;
  #late: Dispose | undefined;

  constructor(node: NodeId, id: number, owner: LinkOwner) {
    this.node = node;
    this.id = id;
    this.#owner = owner;
  }

  get waiting(): number {
    return this.#outbox.length + this.#unended;
  }

  /** False when too much waits already: surely not sent. */
  send(cargo: Cargo): boolean {
    if (!this.open || this.#outbox.length >= OUTBOX_LIMIT) return false;
    this.#outbox.push(cargo);
    this.#schedule();
    return true;
  }

  /** The order number below which all cargo has ended. */
  get endedBelow(): number {
    for (const batch of this.#batches.values()) return batch.order;
    return this.#packed;
  }

  /** The order number that the next cargo will be below, at the latest, once what waits now has left. */
  get barrier(): number {
    return this.#packed + this.#outbox.length;
  }

  /** The way is there again: what was not taken goes at once. */
  wake(): void {
    if (this.#batches.size > 0) this.#resend();
    this.#schedule();
  }

  /** The other node is gone: what may have arrived is unknown, what waited was not sent. */
  close(): void {
    if (!this.open) return;
    this.open = false;
    this.#tick?.();
    this.#late?.();
    for (const batch of [...this.#batches.values()]) this.#end(batch, () => (batch.left ? UNKNOWN : UNSENT));
    for (const cargo of this.#outbox.drain()) cargo.ended(UNSENT, this.#packed);
  }

  // ---- in ---------------------------------------------------------------------------------------------------------------------

  frame([sequence, base, taken, answers, parcels]: Frame): void {
    if (!this.open) return;
    const { counters } = this.#owner;
    counters.framesIn += 1;
    this.#takenByOther(taken);
    for (const answer of answers) this.#answered(answer);
    if (sequence === 0) {
      this.#in.forget(base);
      return;
    }
    switch (this.#in.arrive(sequence, base)) {
      case 'new':
        counters.messagesIn += parcels.length;
        this.#takeAll(sequence, parcels);
        this.#acknowledgeLater();
        break;
      case 'duplicate': {
        counters.duplicates += 1;
        this.#answers = this.#in.answers();
        this.#acknowledge();
        break;
      }
      case 'early':
        if (!this.#answers.includes(GAP)) this.#answers.push(GAP);
        this.#acknowledge();
    }
  }

  #acknowledge(): void {
    this.#ackDue = true;
    this.#schedule();
  }

  /** Mostly all of a batch is decided by then, and one frame says both: that it was taken, and what became of it. */
  #acknowledgeLater(): void {
    this.#late ??= this.#owner.clock.setTimeout(() => {
      this.#late = undefined;
      this.#acknowledge();
    }, LATE_ACK_MS);
  }

  #takeAll(sequence: number, parcels: readonly Parcel[]): void {
    let open = parcels.length;
    let refused: Refusal[] | undefined;
    const decide = (index: number, why: readonly [DeadLetterReason | 'gone', string?] | undefined): void => {
      open -= 1;
      if (why) {
        refused ??= [];
        refused.push(why[1] === undefined ? [index, why[0]] : [index, why[0], why[1]]);
      }
      if (open > 0) return;
      this.#answers.push(this.#in.decided(sequence, refused ?? NOTHING));
      this.#late?.();
      this.#late = undefined;
      this.#acknowledge();
    };
    for (let index = 0; index < parcels.length; index++) {
      this.#owner.take(this, parcels[index] as Parcel, (why) => decide(index, why));
    }
  }

  #takenByOther(taken: number): void {
    for (const batch of this.#batches.values()) {
      if (batch.sequence > taken) break;
      if (batch.taken) continue;
      batch.taken = true;
      batch.left = true;
      this.#untaken -= batch.cargo.length;
      this.#progress();
    }
  }

  /** The other side has something newer than what it misses. */
  #fillGap(): void {
    if (this.#batches.size === 0 || this.#owner.clock.monotonicMs() - this.#resentAtMs < GAP_MS) return;
    this.#resend();
  }

  #answered([sequence, refused]: BatchAnswer): void {
    if (sequence === GAP[0]) this.#fillGap();
    const batch = this.#batches.get(sequence);
    if (!batch) return;
    this.#progress();
    if (refused.length === 0) {
      this.#end(batch, () => TAKEN);
      return;
    }
    const endings = new Map(refused.map(([index, reason, detail]) => [index, refusedWith(reason, detail)]));
    this.#end(batch, (index) => endings.get(index) ?? TAKEN);
  }

  #progress(): void {
    this.#progressAtMs = this.#owner.clock.monotonicMs();
    this.#patienceMs = RESEND_MS;
    if (this.#outbox.length > 0) this.#schedule();
  }

  #end(batch: Batch, how: (index: number) => Ending): void {
    if (!this.#batches.delete(batch.sequence)) return;
    this.#unended -= batch.cargo.length;
    if (!batch.taken) this.#untaken -= batch.cargo.length;
    const { counters } = this.#owner;
    batch.cargo.forEach((cargo, index) => {
      const ending = how(index);
      if (ending === TAKEN) counters.messagesOut += 1;
      else if (ending === UNKNOWN) counters.unknown += 1;
      cargo.ended(ending, batch.order + index);
    });
  }

  // ---- out --------------------------------------------------------------------------------------------------------------------

  #schedule(): void {
    if (this.#flushing || !this.open) return;
    this.#flushing = true;
    setImmediate(() => {
      this.#flushing = false;
      this.#flush();
    });
  }

  #flush(): void {
    if (!this.open) return;
    while (this.#outbox.length > 0 && this.#untaken < WINDOW && this.#unended < OPEN_LIMIT) {
      const cargo = this.#gather();
      if (cargo.length > 0) this.#pack(cargo);
    }
    if (this.#ackDue) this.#post(this.#owner.wire.seal(this.node, this.#frame(0, [])), undefined);
    if (this.#batches.size > 0 || this.#outbox.length > 0) this.#watch();
  }

  #gather(): Cargo[] {
    const cargo: Cargo[] = [];
    while (cargo.length < BATCH) {
      const next = this.#outbox.shift();
      if (!next) break;
      cargo.push(next);
    }
    return cargo;
  }

  /** One batch, or several when they would be too large for one frame. */
  #pack(cargo: readonly Cargo[]): void {
    const parcels: Parcel[] = [];
    const carried: Cargo[] = [];
    for (const each of cargo) {
      try {
        parcels.push(portableParcel(each.parcel()));
        carried.push(each);
      } catch (error) {
        each.ended(refusedWith('not_cloneable', String(error).slice(0, 1_000)), this.#packed);
      }
    }
    this.#seal(carried, parcels);
  }

  #seal(cargo: readonly Cargo[], parcels: readonly Parcel[]): void {
    if (cargo.length === 0) return;
    const sequence = this.#sequence + 1;
    const names = new Names();
    for (const parcel of parcels) names.shorten(parcel);
    const sealed = this.#owner.wire.seal(this.node, this.#frame(sequence, parcels, names));
    if (sealed.length > MAX_FRAME_BYTES) {
      if (cargo.length === 1) {
        const detail = `a message between nodes may have ${MAX_FRAME_BYTES} bytes, and this one has ${sealed.length}`;
        cargo[0]?.ended(refusedWith('payload_too_large', detail), this.#packed);
        return;
      }
      const half = cargo.length >> 1;
      this.#pack(cargo.slice(0, half));
      this.#pack(cargo.slice(half));
      return;
    }
    this.#sequence = sequence;
    const order = this.#packed;
    this.#packed += cargo.length;
    this.#untaken += cargo.length;
    this.#unended += cargo.length;
    if (this.#batches.size === 0) this.#progressAtMs = this.#owner.clock.monotonicMs();
    const dueAtMs = Math.max(...cargo.map((each) => each.dueAtMs));
    const batch: Batch = { sequence, cargo, order, dueAtMs, sealed, taken: false, left: false };
    this.#batches.set(sequence, batch);
    this.#post(sealed, batch);
  }

  #frame(sequence: number, parcels: readonly Parcel[], names?: Names): Frame {
    const [oldest] = this.#batches.keys();
    return [sequence, oldest ?? this.#sequence + 1, this.#in.taken, this.#answers, parcels, names?.all ?? []];
  }

  /** What the frame says of the other side's batches is said: if it gets lost, they come again. */
  #post(sealed: Uint8Array, batch: Batch | undefined): void {
    this.#answers = [];
    this.#ackDue = false;
    const { wire, counters } = this.#owner;
    counters.framesOut += 1;
    if (batch) batch.left = true;
    wire.send(this.node, sealed).then(
      (sent) => {
        if (sent || !batch || batch.taken) return;
        batch.left = false;
        // Surely not taken, mostly because the stream is made anew just now: no need to wait long.
        this.#patienceMs = TICK_MS;
      },
      () => undefined,
    );
  }

  #watch(): void {
    this.#tick ??= this.#owner.clock.setTimeout(() => {
      this.#tick = undefined;
      this.#look();
      if (this.open && (this.#batches.size > 0 || this.#outbox.length > 0)) this.#watch();
    }, TICK_MS);
  }

  #look(): void {
    const { clock, wire } = this.#owner;
    const nowMs = clock.monotonicMs();
    const healthy = wire.healthy();
    let skipped = false;
    for (const batch of [...this.#batches.values()]) {
      const surelyNot = !healthy && !batch.left;
      if (batch.dueAtMs > nowMs && !surelyNot) continue;
      skipped = true;
      this.#end(batch, () => (batch.left ? UNKNOWN : refusedWith('unreachable')));
    }
    if (!healthy) {
      for (const cargo of this.#outbox.drain()) cargo.ended(refusedWith('unreachable'), this.#packed);
      return;
    }
    if (skipped) {
      // The other side must not wait for what was given up.
      this.#ackDue = true;
      this.#schedule();
    }
    if (this.#batches.size > 0 && nowMs - this.#progressAtMs > this.#patienceMs) {
      this.#patienceMs = Math.min(this.#patienceMs * 2, RESEND_MOST_MS);
      this.#resend();
    }
    this.#schedule();
  }

  /** In order: all that was not taken; of what was, the oldest, whose answer may have been lost. */
  #resend(): void {
    this.#progressAtMs = this.#owner.clock.monotonicMs();
    this.#resentAtMs = this.#progressAtMs;
    const { wire, counters } = this.#owner;
    // First what is not waited for any more: it cannot be said in frames that were sealed before.
    this.#post(wire.seal(this.node, this.#frame(0, [])), undefined);
    let oldest = true;
    for (const batch of this.#batches.values()) {
      if (batch.taken && !oldest) continue;
      oldest = false;
      counters.resent += 1;
      this.#repost(batch);
    }
  }

  #repost(batch: Batch): void {
    const maybe = batch.left;
    batch.left = true;
    this.#owner.wire.send(this.node, batch.sealed).then(
      (sent) => {
        if (!sent && !maybe && !batch.taken) batch.left = false;
      },
      () => undefined,
    );
  }
}

function refusedWith(reason: DeadLetterReason | 'gone', detail?: string): Ending {
  return detail === undefined ? { type: 'refused', reason } : { type: 'refused', reason, detail };
}
