// Whom a workflow can ask: the agents of this node that offer a capability, and what they would take for a piece of work.

import type { AgentHome } from '../agents/agent-home.ts';
import type { AgentService } from '../agents/agent-service.ts';
import type { NodeWorkforce } from '../agents/workforce.ts';
import { bidSchema, CALL_FOR_BIDS } from '../contracts/coordination.ts';
import { RuntimeError } from '../contracts/errors.ts';
import { parseInput } from '../contracts/validation.ts';
import type { CapabilityResolver } from '../tasks/capability-resolver.ts';
import type { BidderPort } from '../workflows/ports.ts';

export interface BidderParts {
  readonly workforce: Pick<NodeWorkforce, 'candidates'>;
  readonly home: Pick<AgentHome, 'get'>;
  readonly agents: Pick<AgentService, 'ask'>;
  readonly resolver: Pick<CapabilityResolver, 'resolve'>;
}

export function createBidders({ workforce, home, agents, resolver }: BidderParts): BidderPort {
  return {
    async offering(capability, tenant) {
      try {
        const { queue } = await resolver.resolve({ capability }, tenant);
        return workforce.candidates(queue).flatMap(({ agentId, load }) => {
          const row = home.get(agentId)?.row;
          return row?.tenant === tenant ? [{ agentId, name: row.name, load }] : [];
        });
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
