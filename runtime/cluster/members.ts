// The nodes of the cluster as the lease table tells: who is there, who is in doubt, who is gone for good. The database and its clock decide;
// while they do not answer, what was last known stays.

import type { NodeId } from '../contracts/ids.ts';
import type { MemberChange } from '../contracts/messaging.ts';
import type { Clock, Dispose, Logger } from '../contracts/ports.ts';
import type { LeaseStore, NodeRow } from '../contracts/store-nodes.ts';

export interface MembersOptions {
  readonly leases: Pick<LeaseStore, 'nodes'>;
  readonly node: NodeId;
  readonly clock: Clock;
  readonly log: Logger;
  /** How often the table is read. */
  readonly everyMs: number;
  readonly changed: (change: MemberChange) => void;
}

/** A look that was asked for out of turn waits this long since the last one. */
const SOON_MS = 100;

/** States: started (reads on) or stopped. */
export class Members {
  readonly #options: MembersOptions;
  #rows: ReadonlyMap<NodeId, NodeRow> = new Map();
  #timer: Dispose | undefined;
  #looking: Promise<void> | undefined;
  #lookedAtMs = Number.NEGATIVE_INFINITY;
  #open = true;

  constructor(options: MembersOptions) {
    this.#options = options;
  }

  async start(): Promise<void> {
    await this.look();
  }

  stop(): void {
    this.#open = false;
    this.#timer?.();
  }

  /** Other nodes that are there and not in doubt. */
  others(): readonly NodeId[] {
    return [...this.#rows.values()].filter(({ id, alive }) => alive && id !== this.#options.node).map(({ id }) => id);
  }

  /** Whether the node is there: alive, or not yet given up. */
  has(node: NodeId): boolean {
    return this.#rows.has(node);
  }

  active(node: NodeId): boolean {
    return this.#rows.get(node)?.alive === true;
  }

  /** Somebody has named a node that is not known, or a node does not answer. */
  soon(): void {
    const waited = this.#options.clock.monotonicMs() - this.#lookedAtMs;
    if (waited >= SOON_MS) void this.look();
  }

  /** Reads the table now. Never rejects. */
  look(): Promise<void> {
    this.#looking ??= this.#read().finally(() => {
      this.#looking = undefined;
    });
    return this.#looking;
  }

  async #read(): Promise<void> {
    const { leases, log, clock } = this.#options;
    this.#timer?.();
    this.#lookedAtMs = clock.monotonicMs();
    try {
      this.#take(await leases.nodes());
    } catch (error) {
      log.debug('the members of the cluster could not be read', { error: String(error) });
    }
    if (this.#open) this.#timer = clock.setTimeout(() => void this.look(), this.#options.everyMs);
  }

  #take(rows: readonly NodeRow[]): void {
    const { node, changed } = this.#options;
    const before = this.#rows;
    this.#rows = new Map(rows.map((row) => [row.id, row]));
    if (!this.#open) return;
    for (const id of before.keys()) if (id !== node && !this.#rows.has(id)) changed({ type: 'lost', node: id });
    for (const id of this.#rows.keys()) if (id !== node && !before.has(id)) changed({ type: 'joined', node: id });
  }
}
