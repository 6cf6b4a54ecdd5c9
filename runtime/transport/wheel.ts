// Deadlines in bulk: one timer for any number of them, arming and disarming in constant time.
// A hashed wheel (Varghese and Lauck): entries hang in the slot of their time, rounds are told apart by the deadline itself.

import type { Dispose } from '../contracts/ports.ts';

const SLOTS = 512;
const SLOT_MS = 10;

/** Something with a deadline; at most one wheel holds it. */
export interface Deadline {
  dueAtMs: number;
  previous: Deadline | null;
  next: Deadline | null;
  wheelSlot: number;
  expire(): void;
}

export interface WheelClock {
  monotonicMs(): number;
  setTimeout(fn: () => void, delayMs: number): Dispose;
}

export class Wheel {
  readonly #clock: WheelClock;
  readonly #slots: (Deadline | null)[] = new Array(SLOTS).fill(null);
  #count = 0;
  #timer: Dispose | null = null;
  #wakeAtMs = Number.POSITIVE_INFINITY;
  #sweptTick: number;

  constructor(clock: WheelClock) {
    this.#clock = clock;
    this.#sweptTick = Math.floor(clock.monotonicMs() / SLOT_MS);
  }

  get size(): number {
    return this.#count;
  }

  /** Never fires early, and at most a slot (10 ms) late on an idle loop. */
  arm(entry: Deadline, afterMs: number): void {
    entry.dueAtMs = this.#clock.monotonicMs() + Math.max(0, afterMs);
    const slot = Math.floor(entry.dueAtMs / SLOT_MS) & (SLOTS - 1);
    entry.wheelSlot = slot;
    entry.previous = null;
    entry.next = this.#slots[slot] ?? null;
    if (entry.next) entry.next.previous = entry;
    this.#slots[slot] = entry;
    this.#count++;
    const wakeAtMs = (Math.floor(entry.dueAtMs / SLOT_MS) + 1) * SLOT_MS;
    if (wakeAtMs < this.#wakeAtMs) this.#wake(wakeAtMs);
  }

  disarm(entry: Deadline): void {
    if (entry.wheelSlot < 0) return;
    if (entry.previous) entry.previous.next = entry.next;
    else this.#slots[entry.wheelSlot] = entry.next;
    if (entry.next) entry.next.previous = entry.previous;
    entry.previous = null;
    entry.next = null;
    entry.wheelSlot = -1;
    this.#count--;
  }

  /** Forgets everything without expiring it. */
  stop(): void {
    this.#timer?.();
    this.#timer = null;
    this.#wakeAtMs = Number.POSITIVE_INFINITY;
    this.#slots.fill(null);
    this.#count = 0;
  }

  #wake(atMs: number): void {
    this.#timer?.();
    this.#wakeAtMs = atMs;
    const wait = Math.max(1, Math.ceil(atMs - this.#clock.monotonicMs()));
    this.#timer = this.#clock.setTimeout(() => this.#sweep(), Math.min(wait, 2_147_483_647));
  }

  #sweep(): void {
    this.#timer = null;
    this.#wakeAtMs = Number.POSITIVE_INFINITY;
    const now = this.#clock.monotonicMs();
    const tick = Math.floor(now / SLOT_MS);
    const due: Deadline[] = [];
    for (let at = Math.max(this.#sweptTick, tick - SLOTS + 1); at <= tick; at++) {
      for (let entry = this.#slots[at & (SLOTS - 1)] ?? null; entry; entry = entry.next) {
        if (entry.dueAtMs <= now) due.push(entry);
      }
    }
    this.#sweptTick = tick;
    for (const entry of due) this.disarm(entry);
    for (let at = tick; this.#count > 0 && at < tick + SLOTS; at++) {
      if (!this.#slots[at & (SLOTS - 1)]) continue;
      this.#wake((at + 1) * SLOT_MS);
      break;
    }
    for (const entry of due) entry.expire();
  }
}
