// Why a queued task does not start: in words a user can act on.

import { agentQueue, type Queue } from '../contracts/agent.ts';
import { isId } from '../contracts/ids.ts';
import type { Workforce } from '../contracts/ports.ts';
import type { AgentStore, EventStore } from '../contracts/store.ts';
import type { TaskView } from '../contracts/task.ts';
import { type CapabilityResolver, parseCapability } from './capability-resolver.ts';

export type WaitingReason =
  | 'no_agent_offers_capability'
  | 'all_agents_busy'
  | 'agent_busy'
  | 'agent_paused'
  | 'no_node_fits_agent'
  | 'agent_terminated';

export interface WaitingReasonParts {
  readonly workforce: Pick<Workforce, 'offers' | 'serves'>;
  readonly agents: Pick<AgentStore, 'get'>;
  readonly events: Pick<EventStore, 'read'>;
  readonly resolver: Pick<CapabilityResolver, 'live'>;
}

/** Undefined when nothing stands in its way as far as this node knows: it is about to start. */
export async function waitingReason(
  parts: WaitingReasonParts,
  task: Pick<TaskView, 'id' | 'capability'>,
  tenant: string,
): Promise<WaitingReason | undefined> {
  // the view names the agent that ran last; where the task waits was written when it was accepted
  const [accepted] = await parts.events.read(task.id, tenant, 0, 1);
  const queue = typeof accepted?.data.queue === 'string' ? accepted.data.queue : task.capability;
  if (parts.workforce.offers().some((offer) => offer.queue === queue && offer.free > 0)) return undefined;
  return queue.startsWith('agent:') ? ofAgent(parts, queue, tenant) : ofCapability(parts, queue, tenant);
}

async function ofAgent({ agents }: WaitingReasonParts, queue: Queue, tenant: string): Promise<WaitingReason> {
  const id = queue.slice('agent:'.length);
  const agent = isId('agent', id) && agentQueue(id) === queue ? await agents.get(id, tenant) : null;
  if (!agent || agent.desired === 'terminated' || agent.state === 'terminated') return 'agent_terminated';
  if (agent.owner === null && !agent.passive && agent.requires) return 'no_node_fits_agent';
  return agent.desired === 'paused' ? 'agent_paused' : 'agent_busy';
}

async function ofCapability(
  { workforce, resolver }: WaitingReasonParts,
  queue: Queue,
  tenant: string,
): Promise<WaitingReason> {
  if (workforce.serves?.(queue)) return 'all_agents_busy';
  const { name, version } = parseCapability(queue);
  const live = (await resolver.live(tenant)).get(name);
  // only the highest live version is known of other nodes: an older one may still be served there
  return live !== undefined && (version === undefined || live >= version)
    ? 'all_agents_busy'
    : 'no_agent_offers_capability';
}
