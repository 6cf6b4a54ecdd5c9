// Nodes in the store: one lease an incarnation; what an expired one held is freed.

import type { NodeId } from './ids.ts';
import type { Committed } from './store-page.ts';

export interface NodeRow {
  readonly id: NodeId;
  readonly host: string;
  readonly pid: number;
  readonly draining: boolean;
  /** What agents may require of it. */
  readonly labels: Readonly<Record<string, string>>;
  readonly alive: boolean;
  readonly startedAt: string;
  readonly leaseLeftMs: number;
}

export interface LeaseStore {
  /** Writes this incarnation's row. `reclaimAll` (embedded: the lock file proves every other owner dead) expires all other rows at once. */
  open(node: {
    readonly id: NodeId;
    readonly host: string;
    readonly pid: number;
    readonly leaseMs: number;
    /** What this node can run. `capabilities` feed {@link AgentStore.liveCapabilities}: without them its agents offer none there. */
    readonly manifest: readonly {
      readonly type: string;
      readonly defHash: string;
      readonly capabilities?: readonly { readonly name: string; readonly version: number }[];
    }[];
    /** What agents may require of this node. Default none. */
    readonly labels?: Readonly<Record<string, string>>;
    readonly reclaimAll: boolean;
  }): Promise<void>;
  /** False: the lease had expired and been swept; this incarnation must end. */
  renew(): Promise<boolean>;
  setDraining(draining: boolean): Promise<void>;
  /** Gives everything back (tasks queued, attempts not charged; agents and workflows unowned) and removes the row. */
  release(): Promise<void>;
  /** Frees what expired nodes owned: tasks are charged a crash, then queued or dead. */
  sweep(options: { readonly poisonAfter: number }): Promise<
    {
      readonly nodes: readonly NodeId[];
      readonly tasks: number;
      readonly agents: number;
      readonly workflows: number;
    } & Committed
  >;
  nodes(): Promise<readonly NodeRow[]>;
}
