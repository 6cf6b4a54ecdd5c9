// Nodes of a cluster without threads and without a database: agents are functions, the tables are maps, the links and the wire are real.

import { NodeCluster } from '../../runtime/cluster/node-cluster.ts';
import type { DeadLetter, TellResult } from '../../runtime/contracts/envelope.ts';
import { RuntimeError } from '../../runtime/contracts/errors.ts';
import type { AgentId, NodeId } from '../../runtime/contracts/ids.ts';
import type { LocalMail, Mail, NodeWire } from '../../runtime/contracts/messaging.ts';
import type { Ambient } from '../../runtime/contracts/ports.ts';
import type { AgentPlace, NodeMemberRow } from '../../runtime/contracts/store-cluster.ts';
import type { Terminated } from '../../runtime/contracts/supervision.ts';
import { systemAmbient } from '../../runtime/observe/ambient.ts';
import { silentLogger } from './ambient.ts';

/** What an agent does with its mail: the value it returns is the reply; what it throws is the error. */
export type Agent = (mail: Mail) => unknown;

/** The tables that the nodes share. */
export class World {
  readonly ambient: Ambient = systemAmbient(silentLogger);
  readonly places = new Map<AgentId, AgentPlace>();
  readonly rows = new Map<NodeId, NodeMemberRow>();
  /** The database does not answer. */
  away = false;
  reads = 0;

  newNode(): NodeId {
    return this.ambient.newId('node');
  }

  answer<T>(value: () => T): Promise<T> {
    this.reads += 1;
    if (this.away) return Promise.reject(new RuntimeError('store_unavailable', 'the database does not answer'));
    return Promise.resolve(value());
  }
}

export class TestNode {
  readonly id: NodeId;
  readonly cluster: NodeCluster;
  readonly agents = new Map<AgentId, Agent>();
  readonly letters: DeadLetter[] = [];
  readonly #world: World;
  readonly #watches = new Map<AgentId, Set<(end: Terminated) => void>>();

  constructor(world: World, id: NodeId, wire: NodeWire | undefined) {
    this.#world = world;
    this.id = id;
    this.cluster = new NodeCluster({
      node: id,
      ambient: world.ambient,
      store: {
        places: (ids) => world.answer(() => ids.flatMap((each) => world.places.get(each) ?? [])),
        members: () => world.answer(() => [...world.rows.values()]),
        hosts: () => Promise.resolve([]),
        key: () => Promise.resolve(new Uint8Array(32)),
      },
      leases: { nodes: () => world.answer(() => [...world.rows.values()]) },
      leaseMs: 2_500,
      wire,
      local: this.#mail(),
      finished: () => false,
      watchHere: (agent, listener) => {
        const listeners = this.#watches.get(agent) ?? new Set();
        this.#watches.set(agent, listeners.add(listener));
        return () => void listeners.delete(listener);
      },
      deadLetters: { add: (letter) => void this.letters.push(letter) },
    });
  }

  async start(): Promise<void> {
    const { id } = this;
    const row = {
      id,
      host: 'here',
      pid: 1,
      draining: false,
      labels: {},
      alive: true,
      startedAt: '',
      leaseLeftMs: 1_000,
    };
    this.#world.rows.set(id, { ...row, heartbeatAgeMs: 0, agents: 0 });
    await this.cluster.start();
  }

  /** A new agent, or one that comes here from elsewhere. */
  host(agent: Agent, id: AgentId = this.#world.ambient.newId('agent')): AgentId {
    const epoch = (this.#world.places.get(id)?.epoch ?? 0) + 1;
    this.#world.places.set(id, { id, owner: this.id, epoch, ended: false });
    this.agents.set(id, agent);
    return id;
  }

  /** It goes on elsewhere. */
  leave(id: AgentId): void {
    this.agents.delete(id);
  }

  end(id: AgentId, reason: Terminated['reason']): void {
    this.agents.delete(id);
    const place = this.#world.places.get(id);
    if (place) this.#world.places.set(id, { ...place, ended: true });
    for (const listener of this.#watches.get(id) ?? []) listener({ type: 'terminated', id, reason });
  }

  tell(to: AgentId, type: string, body?: unknown, from?: AgentId): Promise<TellResult> {
    return new Promise((resolve) => {
      this.cluster.tell({ to, type, body, ...(from === undefined ? {} : { from }) }, resolve);
    });
  }

  ask(to: AgentId, type: string, body?: unknown, timeoutMs = 10_000): Promise<unknown> {
    return this.cluster.ask({ to, type, body, timeoutMs });
  }

  /** As kill -9: nothing of it is said any more. The others hear when its row is gone. */
  async die(): Promise<void> {
    this.agents.clear();
    await this.cluster.stop();
  }

  #mail(): LocalMail {
    return {
      hosts: (id) => this.agents.has(id),
      deliver: (mail, settled) => {
        const result = this.agents.get(mail.to)?.(mail);
        if (result === 'full') settled({ outcome: 'refused', reason: 'mailbox_full' });
        else settled({ outcome: 'delivered', via: 'message-port' });
      },
      question: async (ask) => this.agents.get(ask.to)?.(ask),
    };
  }
}
