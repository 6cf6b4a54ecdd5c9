// A row of the table of agents, and what it is to the runtime.

import type { AgentState, Isolation } from '../contracts/agent.ts';
import { fromUuid } from '../contracts/ids.ts';
import type { AgentRow } from '../contracts/store.ts';
import { idOrNull } from './sql.ts';

export const AGENT_COLUMNS = `id, tenant, type, def_hash, name, config, capabilities, isolation, desired, state, reason, owner_node, epoch, version,
  labels, requires, passive, passivate_after_ms, snapshot, created_at`;

export interface DbAgent {
  readonly id: string;
  readonly tenant: string;
  readonly type: string;
  readonly def_hash: string;
  readonly name: string;
  readonly config: Record<string, unknown>;
  readonly capabilities: readonly string[] | null;
  readonly isolation: Isolation;
  readonly desired: AgentRow['desired'];
  readonly state: AgentState;
  readonly reason: string | null;
  readonly owner_node: string | null;
  readonly epoch: number;
  readonly version: number;
  readonly labels: Readonly<Record<string, string>> | null;
  readonly requires: Readonly<Record<string, string>> | null;
  readonly passive: boolean;
  readonly passivate_after_ms: number | null;
  readonly snapshot: unknown;
  readonly created_at: string;
}

export function agentOf(row: DbAgent): AgentRow {
  return {
    id: fromUuid('agent', row.id),
    tenant: row.tenant,
    type: row.type,
    defHash: row.def_hash,
    name: row.name,
    config: row.config,
    capabilities: row.capabilities,
    isolation: row.isolation,
    ...(row.labels ? { labels: row.labels } : {}),
    ...(row.requires ? { requires: row.requires } : {}),
    ...(row.passive ? { passive: true } : {}),
    ...(row.passivate_after_ms === null ? {} : { passivateAfterMs: row.passivate_after_ms }),
    desired: row.desired,
    state: row.state,
    reason: row.reason,
    owner: idOrNull('node', row.owner_node),
    epoch: row.epoch,
    version: row.version,
    snapshot: row.snapshot,
    createdAt: row.created_at,
  };
}
