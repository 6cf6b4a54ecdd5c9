// Agents that change their node while both live: idle ones go from a node that has more than its share, and all of them from one that stops.

import type { AgentId, NodeId } from '../contracts/ids.ts';
import type { Ambient, ThreadPool } from '../contracts/ports.ts';
import type { AgentStore } from '../contracts/store-agents.ts';
import type { ClusterStore } from '../contracts/store-cluster.ts';
import type { AgentHome } from './agent-home.ts';
import type { Departures } from './departures.ts';
import { fits } from './hosting.ts';
import { Balance, MOVES } from './rebalance.ts';
import type { Sleep } from './sleep.ts';

export interface ResettleOptions {
  readonly node: NodeId;
  readonly home: AgentHome;
  readonly sleep: Sleep;
  readonly departures: Departures;
  readonly pool: Pick<ThreadPool, 'cellStats'>;
  readonly agents: Pick<AgentStore, 'arrived'>;
  readonly cluster: Pick<ClusterStore, 'members' | 'hosts'>;
  readonly ambient: Ambient;
}

/** An agent that came here, or was busy, within this time is left in peace. */
const IDLE_MS = 2_000;
const SIDE_BY_SIDE = 16;

export class Resettle {
  readonly #options: ResettleOptions;
  readonly #balance: Balance;

  constructor(options: ResettleOptions) {
    this.#options = options;
    this.#balance = new Balance(options.node);
  }

  /** One round: gives idle agents to the node that has least, if this one has clearly more than its share. Answers how many went. */
  async rebalance(): Promise<number> {
    const { cluster, home, pool, sleep, ambient } = this.#options;
    if (home.size === 0) return 0;
    const members = await cluster.members();
    const move = this.#balance.decide(
      members.map(({ id, agents, alive, draining }) => ({ id, agents, takes: alive && !draining })),
    );
    if (members.length > 1) sleep.idleness.look(await pool.cellStats(), ambient.clock.monotonicMs());
    if (!move) return 0;
    const host = (await cluster.hosts()).find(({ id }) => id === move.to);
    if (!host) return 0;
    const nowMs = ambient.clock.monotonicMs();
    const idle = [...home.residents()]
      .filter(({ row }) => host.defHashes.includes(row.defHash) && fits(host.labels, row.requires))
      .map(({ row }) => ({ id: row.id, idleForMs: sleep.idleness.idleForMs(row.id, nowMs) }))
      .filter(({ idleForMs }) => idleForMs >= IDLE_MS)
      .sort((a, b) => b.idleForMs - a.idleForMs)
      .slice(0, Math.min(MOVES, move.count))
      .map(({ id }) => id);
    const moved = await sleep.send(idle, move.to);
    if (moved > 0) ambient.log.info('agents were moved to another node', { agents: moved, to: move.to });
    return moved;
  }

  /** Takes agents that were given to this node. */
  async arrive(entryOf: (defHash: string) => Parameters<AgentHome['launch']>[1] | undefined): Promise<void> {
    const { agents, home } = this.#options;
    for (const row of await agents.arrived()) {
      const entry = entryOf(row.defHash);
      if (entry && !home.get(row.id)) home.launch(row, entry);
    }
  }

  /** Before this node stops: its agents go to the others, each as soon as it has finished what it has. */
  async evacuate(timeoutMs: number): Promise<void> {
    const { cluster, home, departures, node, ambient } = this.#options;
    const others = (await cluster.members()).filter(({ id, alive, draining }) => id !== node && alive && !draining);
    if (others.length === 0) return;
    const until = ambient.clock.monotonicMs() + timeoutMs;
    const queue: AgentId[] = [...home.residents()].map(({ row }) => row.id);
    const next = async (): Promise<void> => {
      for (let id = queue.shift(); id !== undefined; id = queue.shift()) {
        const leftMs = until - ambient.clock.monotonicMs();
        if (leftMs <= 0) return;
        await departures.leave(id, 'anywhere', leftMs);
      }
    };
    await Promise.all(Array.from({ length: SIDE_BY_SIDE }, next));
  }
}
