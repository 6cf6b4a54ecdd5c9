// What agents of this node offer, for the receptionist: who came to work or stopped working here, and whose capabilities were changed.

import type { AgentHome } from '../agents/agent-home.ts';
import { offeredBy } from '../agents/agent-view.ts';
import type { AgentTree } from '../agents/ports.ts';
import type { AgentState } from '../contracts/agent.ts';
import type { AgentId } from '../contracts/ids.ts';
import type { Dispose, EventFeed } from '../contracts/ports.ts';
import type { LocalOffers } from '../messaging/receptionist.ts';

const works = (state: AgentState | undefined): boolean => state === 'idle' || state === 'running';

export class NodeOffers implements LocalOffers {
  readonly #home: Pick<AgentHome, 'get' | 'residents'>;
  readonly #tree: Pick<AgentTree, 'get'>;
  readonly #working = new Set<AgentId>();
  readonly #listeners = new Set<() => void>();

  constructor(home: Pick<AgentHome, 'get' | 'residents'>, tree: Pick<AgentTree, 'get'>, feed: EventFeed) {
    this.#home = home;
    this.#tree = tree;
    feed.subscribe((event) => {
      if (event.type === 'agent.updated') this.#changed();
    });
  }

  offering(tenant: string, capability: string, version: number | null): readonly AgentId[] {
    const found: AgentId[] = [];
    for (const { row, entry } of this.#home.residents()) {
      if (row.tenant !== tenant || !works(this.#tree.get(row.id)?.state)) continue;
      const offered = offeredBy(entry, row.capabilities);
      if (offered.some((one) => one.name === capability && (version === null || one.version === version)))
        found.push(row.id);
    }
    return found;
  }

  hosts(id: AgentId): boolean {
    return this.#home.get(id) !== undefined;
  }

  onChange(listener: () => void): Dispose {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** Called for every change of state; between idle and running nothing changes here. */
  onTransition(id: AgentId, to: AgentState): void {
    const before = this.#working.has(id);
    if (before === works(to)) return;
    if (before) this.#working.delete(id);
    else this.#working.add(id);
    this.#changed();
  }

  #changed(): void {
    for (const listener of this.#listeners) listener();
  }
}
