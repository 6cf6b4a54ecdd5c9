// What nodes know of each other through the database.

import type { AgentId, NodeId } from './ids.ts';
import type { NodeRow } from './store-nodes.ts';

/** Where an agent lives by its row. */
export interface AgentPlace {
  readonly id: AgentId;
  /** Null while none has it: its node was lost or left, and the next one adopts it. */
  readonly owner: NodeId | null;
  readonly epoch: number;
  /** It sleeps until somebody wakes it. */
  readonly passive?: boolean;
  /** It was removed: nobody will have it again. */
  readonly ended: boolean;
}

export interface NodeMemberRow extends NodeRow {
  readonly heartbeatAgeMs: number;
  /** Agents it owns. */
  readonly agents: number;
}

/** A node that takes agents now: what it has for them. */
export interface NodeHostRow {
  readonly id: NodeId;
  readonly labels: Readonly<Record<string, string>>;
  /** Of the definitions it can run. */
  readonly defHashes: readonly string[];
}

export interface ClusterStore {
  /** Of the ids that are agents; ids of nothing are left out. One statement. */
  places(ids: readonly AgentId[]): Promise<readonly AgentPlace[]>;
  /** Every node that is not given up, with its figures. */
  members(): Promise<readonly NodeMemberRow[]>;
  /** What every node that takes agents now has for them. */
  hosts(): Promise<readonly NodeHostRow[]>;
  /** The secret that the nodes of this database share, 32 bytes; made by the first that asks. */
  key(): Promise<Uint8Array>;
}
