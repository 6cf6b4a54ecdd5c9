// Agents named by id or name, as ids of agents that exist in the tenant.

import { RuntimeError } from '../contracts/errors.ts';
import type { AgentId } from '../contracts/ids.ts';
import type { ChannelStore } from '../contracts/store.ts';

/** @throws RuntimeError `actor_not_found` (details.id) for the first that nobody knows. */
export async function knownAgents(
  store: Pick<ChannelStore, 'agentIds'>,
  idsOrNames: readonly string[],
  tenant: string,
): Promise<readonly AgentId[]> {
  const normal = idsOrNames.map((text) => text.normalize('NFC'));
  const ids = await store.agentIds(normal, tenant);
  return ids.map((id, at) => {
    if (id !== null) return id;
    throw new RuntimeError('actor_not_found', `there is no agent ${normal[at]}`, { details: { id: normal[at] } });
  });
}
