// Messages whose addressee is looked for: they wait in order, those that came back first, until the database names a node that can be sent
// to, says that there is no such agent, or their time is over.

import type { AgentId } from '../contracts/ids.ts';
import type { Clock, Dispose } from '../contracts/ports.ts';
import type { AgentPlace } from '../contracts/store-cluster.ts';
import { Queue } from '../transport/queue.ts';
import type { NodeLink } from './node-link.ts';
import type { Outbound } from './outbound.ts';

/** What a place means for those who wait for it. `later`: somebody will have it, or nobody can say now. */
export type Verdict = 'send' | 'nobody' | 'later' | 'unreachable';

export interface SearchesOwner {
  readonly clock: Clock;
  read(id: AgentId): Promise<AgentPlace | undefined>;
  judge(id: AgentId, place: AgentPlace | undefined): Verdict;
  /** Goes on with what was found, in order. */
  go(outbound: Outbound): void;
  nobody(outbound: Outbound): void;
  unreachable(outbound: Outbound): void;
  late(outbound: Outbound): void;
}

/** Messages that wait for one addressee, and for all together. */
const ONE_LIMIT = 8_192;
const ALL_LIMIT = 65_536;
/** Between looks for the same addressee: doubled up to the most, for as long as somebody waits. */
const LOOK_MS = 25;
const LOOK_MOST_MS = 400;
/** What was sent to the old place before may still come back: it is waited for this long at most. */
const BARRIER_MS = 2_000;

interface Search {
  readonly returned: { readonly order: number; readonly outbound: Outbound }[];
  readonly waiting: Queue<Outbound>;
  barrier: { readonly link: NodeLink; readonly order: number; readonly untilMs: number } | undefined;
  nextLookMs: number;
  looking: boolean;
  pauseMs: number;
}

export class Searches {
  readonly #owner: SearchesOwner;
  readonly #open = new Map<AgentId, Search>();
  #waiting = 0;
  #timer: Dispose | undefined;

  constructor(owner: SearchesOwner) {
    this.#owner = owner;
  }

  get waiting(): number {
    return this.#waiting;
  }

  has(id: AgentId): boolean {
    return this.#open.size > 0 && this.#open.has(id);
  }

  /** Waits for its addressee; false when too many do. */
  add(outbound: Outbound): boolean {
    const search = this.#search(outbound.mail.to);
    if (search.waiting.length >= ONE_LIMIT || this.#waiting >= ALL_LIMIT) return false;
    this.#waiting += 1;
    search.waiting.push(outbound);
    this.#tick();
    return true;
  }

  /** It was sent where its addressee is not, or to a node that was lost before it left. */
  cameBack(outbound: Outbound, order: number): void {
    const { link } = outbound;
    const search = this.#search(outbound.mail.to);
    const nowMs = this.#owner.clock.monotonicMs();
    if (link?.open && search.returned.length === 0) {
      search.barrier = { link, order: link.barrier, untilMs: nowMs + BARRIER_MS };
    }
    search.pauseMs = Math.min(LOOK_MS * 2 ** Math.min(outbound.hops, 8), LOOK_MOST_MS);
    if (outbound.hops > 1) search.nextLookMs = Math.max(search.nextLookMs, nowMs + search.pauseMs);
    this.#waiting += 1;
    search.returned.push({ order, outbound });
    this.#tick();
  }

  stop(): void {
    this.#timer?.();
    for (const id of [...this.#open.keys()]) for (const outbound of this.#take(id)) this.#owner.late(outbound);
  }

  #search(id: AgentId): Search {
    const open = this.#open.get(id);
    if (open) return open;
    const search: Search = {
      returned: [],
      waiting: new Queue(),
      barrier: undefined,
      nextLookMs: 0,
      looking: false,
      pauseMs: LOOK_MS,
    };
    this.#open.set(id, search);
    return search;
  }

  #tick(): void {
    this.#timer ??= this.#owner.clock.setTimeout(() => {
      this.#timer = undefined;
      const nowMs = this.#owner.clock.monotonicMs();
      for (const [id, search] of [...this.#open]) this.#visit(id, search, nowMs);
      if (this.#open.size > 0) this.#later();
    }, 0);
  }

  #later(): void {
    this.#timer ??= this.#owner.clock.setTimeout(() => {
      this.#timer = undefined;
      this.#tick();
    }, LOOK_MS);
  }

  #visit(id: AgentId, search: Search, nowMs: number): void {
    this.#dropLate(id, search, nowMs);
    if (search.looking || nowMs < search.nextLookMs || this.#open.get(id) !== search) return;
    const { barrier } = search;
    if (barrier?.link.open && barrier.link.endedBelow < barrier.order && nowMs < barrier.untilMs) return;
    search.barrier = undefined;
    search.looking = true;
    this.#owner.read(id).then(
      (place) => this.#found(id, search, this.#owner.judge(id, place)),
      () => this.#found(id, search, 'later'),
    );
  }

  #found(id: AgentId, search: Search, verdict: Verdict): void {
    search.looking = false;
    if (this.#open.get(id) !== search) return;
    if (search.barrier) return;
    if (verdict === 'later') {
      search.nextLookMs = this.#owner.clock.monotonicMs() + search.pauseMs;
      search.pauseMs = Math.min(search.pauseMs * 2, LOOK_MOST_MS);
      return;
    }
    for (const outbound of this.#take(id)) {
      if (verdict === 'send') this.#owner.go(outbound);
      else if (verdict === 'nobody') this.#owner.nobody(outbound);
      else this.#owner.unreachable(outbound);
    }
  }

  #take(id: AgentId): Outbound[] {
    const search = this.#open.get(id);
    if (!search) return [];
    this.#open.delete(id);
    const returned = search.returned.sort((a, b) => a.order - b.order).map(({ outbound }) => outbound);
    const all = [...returned, ...search.waiting.drain()];
    this.#waiting -= all.length;
    return all;
  }

  #dropLate(id: AgentId, search: Search, nowMs: number): void {
    const isLate = (outbound: Outbound): boolean => outbound.dueAtMs <= nowMs;
    if (!search.returned.some(({ outbound }) => isLate(outbound)) && !some(search.waiting, isLate)) return;
    const all = this.#take(id);
    const left = all.filter((outbound) => !isLate(outbound));
    if (left.length > 0) {
      const again = this.#search(id);
      again.barrier = search.barrier;
      again.nextLookMs = search.nextLookMs;
      again.pauseMs = search.pauseMs;
      for (const outbound of left) again.waiting.push(outbound);
      this.#waiting += left.length;
    }
    for (const outbound of all) if (isLate(outbound)) this.#owner.late(outbound);
  }
}

function some<T>(queue: Queue<T>, holds: (item: T) => boolean): boolean {
  for (let at = 0; at < queue.length; at++) {
    const item = queue.at(at);
    if (item !== undefined && holds(item)) return true;
  }
  return false;
}
