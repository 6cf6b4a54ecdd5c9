// Follows the tree while somebody looks: which agents changed since the last flush, which other nodes did, and a revision that grows with it.
// States: idle (nobody looks, nothing is heard) <-> watching.

import type { InspectNode } from '../../contracts/inspection.ts';
import type { Dispose } from '../../contracts/ports.ts';
import { AgentCounts } from './agent-counts.ts';
import type { InspectSources, WatchedTransition } from './ports.ts';

export const FLUSH_MS = 250;

/** How an agent changed: `flip` between idle and running only, or anything else. */
export type Change = 'flip' | 'structure';

export interface TreeFlush {
  readonly revision: number;
  readonly agents: ReadonlyMap<string, { readonly change: Change; readonly tenant: string }>;
}

export class TreeWatch {
  readonly #sources: InspectSources;
  readonly #listeners = new Set<(flush: TreeFlush) => void>();
  #dirty = new Map<string, { change: Change; readonly tenant: string }>();
  #counts: AgentCounts | undefined;
  #disposers: Dispose[] = [];
  /** Begins with the time, so that a node that restarts is never behind what a viewer has seen. */
  #revision: number;

  constructor(sources: InspectSources) {
    this.#sources = sources;
    this.#revision = Math.round(sources.clock.nowMs());
  }

  get revision(): number {
    return this.#revision;
  }

  /** Of this tenant; counted anew where nobody watches. */
  counts(tenant: string): ReturnType<AgentCounts['of']> {
    return (this.#counts ?? new AgentCounts(this.#sources.agents())).of(tenant);
  }

  listen(listener: (flush: TreeFlush) => void): Dispose {
    if (this.#listeners.size === 0) this.#begin();
    this.#listeners.add(listener);
    return () => {
      if (this.#listeners.delete(listener) && this.#listeners.size === 0) this.#end();
    };
  }

  #begin(): void {
    const { agents, onTransition, clock } = this.#sources;
    this.#counts = new AgentCounts(agents());
    this.#dirty = new Map();
    this.#disposers = [
      onTransition((transition) => this.#moved(transition)),
      clock.setInterval(() => this.#flush(), FLUSH_MS),
    ];
  }

  #end(): void {
    for (const dispose of this.#disposers.splice(0)) dispose();
    this.#counts = undefined;
    this.#dirty = new Map();
  }

  #moved(transition: WatchedTransition): void {
    const { id, tenant, from, to } = transition;
    this.#counts?.moved(transition);
    const known = this.#dirty.get(id);
    const flips = (from === 'idle' || from === 'running') && (to === 'idle' || to === 'running');
    if (known === undefined) this.#dirty.set(id, { change: flips ? 'flip' : 'structure', tenant });
    else if (!flips) known.change = 'structure';
  }

  #flush(): void {
    const agents = this.#dirty;
    this.#dirty = new Map();
    this.#revision += 1;
    for (const listener of this.#listeners) {
      try {
        listener({ revision: this.#revision, agents });
      } catch (error) {
        this.#sources.log.error('a viewer of the inspector threw', { error });
      }
    }
  }
}

/** What changed among nodes that are few: those that are new or different, and ids of those that are gone. */
export class NodesDiff {
  #before = new Map<string, string>();

  next(nodes: readonly InspectNode[]): { readonly set: readonly InspectNode[]; readonly removed: readonly string[] } {
    const now = new Map<string, string>();
    const set: InspectNode[] = [];
    for (const node of nodes) {
      // Mailboxes are told with the figures.
      const text = JSON.stringify({ ...node, mailbox: null });
      now.set(node.id, text);
      if (this.#before.get(node.id) !== text) set.push(node);
    }
    const removed = [...this.#before.keys()].filter((id) => !now.has(id));
    this.#before = now;
    return { set, removed };
  }
}
