// Agents by tenant, type and state, kept in step with their transitions instead of counted anew.

import type { InspectCounts } from '../../contracts/inspection.ts';
import type { WatchedAgent, WatchedTransition } from './ports.ts';

interface OfTenant {
  readonly byTypeAndState: Map<string, number>;
  restarts: number;
}

type AgentsCounted = Pick<InspectCounts, 'total' | 'byType' | 'byState' | 'byTypeAndState' | 'restarts'>;

export class AgentCounts {
  readonly #tenants = new Map<string, OfTenant>();

  constructor(agents: Iterable<WatchedAgent>) {
    for (const { tenant, type, state, restarts } of agents) {
      const own = this.#of(tenant);
      own.restarts += restarts;
      if (state !== 'created') add(own.byTypeAndState, `${type} ${state}`, 1);
    }
  }

  /** An agent is counted from its first initialisation to its end. */
  moved({ tenant, type, from, to, cause }: WatchedTransition): void {
    const own = this.#of(tenant);
    if (cause === 'restart') own.restarts += 1;
    if (from !== 'created') add(own.byTypeAndState, `${type} ${from}`, -1);
    if (to !== 'terminated') add(own.byTypeAndState, `${type} ${to}`, 1);
  }

  of(tenant: string): AgentsCounted {
    const { byTypeAndState, restarts } = this.#of(tenant);
    const byType: Record<string, number> = {};
    const byState: Record<string, number> = {};
    let total = 0;
    for (const [key, count] of byTypeAndState) {
      const gap = key.lastIndexOf(' ');
      const [type, state] = [key.slice(0, gap), key.slice(gap + 1)];
      byType[type] = (byType[type] ?? 0) + count;
      byState[state] = (byState[state] ?? 0) + count;
      total += count;
    }
    return { total, byType, byState, byTypeAndState: Object.fromEntries(byTypeAndState), restarts };
  }

  #of(tenant: string): OfTenant {
    const known = this.#tenants.get(tenant);
    if (known) return known;
    const made: OfTenant = { byTypeAndState: new Map(), restarts: 0 };
    this.#tenants.set(tenant, made);
    return made;
  }
}

function add(counts: Map<string, number>, key: string, by: number): void {
  const count = (counts.get(key) ?? 0) + by;
  if (count > 0) counts.set(key, count);
  else counts.delete(key);
}
