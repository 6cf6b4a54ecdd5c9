// Whom a workflow can ask: the agents that offer a capability, here and on other nodes, and what they would take for a piece of work.

import type { AgentHome } from '../agents/agent-home.ts';
import type { AgentService } from '../agents/agent-service.ts';
import type { NodeWorkforce } from '../agents/workforce.ts';
import { bidSchema, CALL_FOR_BIDS, type Candidate } from '../contracts/coordination.ts';
import { RuntimeError } from '../contracts/errors.ts';
import type { ChannelStore } from '../contracts/store.ts';
import { parseInput } from '../contracts/validation.ts';
import type { CapabilityResolver } from '../tasks/capability-resolver.ts';
import type { BidderPort } from '../workflows/ports.ts';

export interface BidderParts {
  readonly workforce: Pick<NodeWorkforce, 'candidates'>;
  readonly home: Pick<AgentHome, 'get'>;
  readonly agents: Pick<AgentService, 'ask'>;
  readonly resolver: Pick<CapabilityResolver, 'resolve'>;
  readonly directory: Pick<ChannelStore, 'offering'>;
  /** Agents of other nodes can be asked. */
  readonly clustered: boolean;
}

export function createBidders(parts: BidderParts): BidderPort {
  const { workforce, home, agents, resolver, directory, clustered } = parts;
  async function elsewhere(capability: string, version: number, tenant: string): Promise<Candidate[]> {
    if (!clustered) return [];
    const ids = await directory.offering(tenant, capability, version);
    return ids.filter((id) => home.get(id) === undefined).map((agentId) => ({ agentId, name: null, load: 0 }));
  }
  return {
    async offering(capability, tenant) {
      try {
        const { queue, capability: name, version } = await resolver.resolve({ capability }, tenant);
        const here = workforce.candidates(queue).flatMap(({ agentId, load }) => {
          const row = home.get(agentId)?.row;
          return row?.tenant === tenant ? [{ agentId, name: row.name, load }] : [];
        });
        const all = [...here, ...(await elsewhere(name, version, tenant))];
        return all.sort((a, b) => (a.agentId < b.agentId ? -1 : 1));
      } catch (error) {
        // A name that nobody offers any more has no agents; anything else is worth another try.
        if (error instanceof RuntimeError && error.code === 'unknown_capability') return [];
        throw error;
      }
    },
    async bid(agentId, call, { tenant, timeoutMs }) {
      const answer = await agents.ask(agentId, CALL_FOR_BIDS, call, { timeoutMs }, { tenant });
      return parseInput(bidSchema, answer, 'bid');
    },
  };
}
