// Agents that leave this node alive: put to sleep, moved to another node, or left to whoever takes them. Each finishes its mailbox, its state
// and its new place are one commit, and what is sent to it meanwhile waits and follows it. Which agents leave is decided elsewhere.

import { toWireError } from '../contracts/errors.ts';
import type { AgentId, NodeId } from '../contracts/ids.ts';
import type { Ambient, Bus, ThreadPool } from '../contracts/ports.ts';
import type { AgentStore } from '../contracts/store-agents.ts';
import type { AgentHome, Resident } from './agent-home.ts';
import type { AgentTree } from './ports.ts';
import type { NodeWorkforce } from './workforce.ts';

/** `asleep`: nobody has it until something is there for it; `anywhere`: who takes it first; else a node. */
export type Destination = 'asleep' | 'anywhere' | NodeId;

export interface DeparturesOptions {
  readonly home: () => AgentHome;
  readonly tree: AgentTree;
  readonly pool: Pick<ThreadPool, 'depart' | 'stopCell'>;
  readonly workforce: Pick<NodeWorkforce, 'leave'>;
  readonly store: Pick<AgentStore, 'give' | 'get'>;
  readonly bus: Pick<Bus, 'publish'>;
  readonly ambient: Ambient;
  readonly node: NodeId;
  /** Resolves when no outcome of this agent's tasks is still on its way to the store. */
  readonly settled: (id: AgentId) => Promise<void>;
  /** Runs what saves a snapshot after what was begun before it. */
  readonly inOrder: <T>(id: AgentId, work: () => Promise<T>) => Promise<T>;
}

interface Departure {
  readonly resident: Resident;
  readonly to: Destination;
  /** Its cell is being taken down. */
  halting?: Promise<void>;
  snapshot?: unknown;
}

export interface DepartureCounts {
  readonly asleep: number;
  readonly moved: number;
  readonly stayed: number;
}

/** Tries to write where it went, while the database does not answer. */
const TRIES = 40;
const RETRY_MS = 250;

export class Departures {
  readonly #options: DeparturesOptions;
  readonly #leaving = new Map<AgentId, Departure>();
  readonly #counts = { asleep: 0, moved: 0, stayed: 0 };

  constructor(options: DeparturesOptions) {
    this.#options = options;
  }

  /** Whether it is on its way out: its end here is not its end. */
  has(id: AgentId): boolean {
    return this.#leaving.has(id);
  }

  counts(): DepartureCounts {
    return { ...this.#counts };
  }

  /** Resolves once it is gone, or back: what could not be given away lives on here. */
  async leave(id: AgentId, to: Destination, timeoutMs: number): Promise<'left' | 'stayed'> {
    const { home, workforce, ambient } = this.#options;
    const resident = home().get(id);
    if (!resident || this.#leaving.has(id)) return 'stayed';
    const departure: Departure = { resident, to };
    this.#leaving.set(id, departure);
    try {
      // From here on it gets no task; what it has was seen before, in this very turn.
      workforce.leave(id);
      await home().end(id, 'drain', timeoutMs);
      await departure.halting;
      const left = await this.#giveUntilKnown(departure);
      await this.#options.pool.stopCell(id, 'stop', 0);
      this.#leaving.delete(id);
      if (left) this.#counts[to === 'asleep' ? 'asleep' : 'moved'] += 1;
      else await this.#stay(departure);
      return left ? 'left' : 'stayed';
    } catch (error) {
      ambient.log.warn('an agent could not leave this node', { agent: id, error: toWireError(error).message });
      return 'stayed';
    } finally {
      this.#leaving.delete(id);
    }
  }

  /** Its way to stop, for its supervisor; undefined for an agent that does not leave. */
  halt(id: AgentId, timeoutMs: number): Promise<void> | undefined {
    const departure = this.#leaving.get(id);
    if (!departure) return undefined;
    departure.halting ??= this.#halt(id, departure, timeoutMs);
    return departure.halting;
  }

  async #halt(id: AgentId, departure: Departure, timeoutMs: number): Promise<void> {
    const { pool, settled, ambient } = this.#options;
    try {
      departure.snapshot = await pool.depart(id, timeoutMs);
    } catch (error) {
      // Its thread died with it: what was saved last is what goes.
      ambient.log.warn('an agent left without its last state', { agent: id, error: toWireError(error).message });
    }
    await settled(id);
  }

  /** Whether it was given away is in the row; a database that does not answer is asked again. */
  async #giveUntilKnown({ resident, to, snapshot }: Departure): Promise<boolean> {
    const { store, bus, ambient, node, inOrder } = this.#options;
    const { id, epoch, tenant } = resident.row;
    for (let tries = 1; ; tries++) {
      try {
        const given = await inOrder(id, () => store.give(id, epoch, to, snapshot));
        // A try whose answer was lost may have done it.
        const done = given || (tries > 1 && (await store.get(id, tenant))?.owner !== node);
        if (done && to !== 'asleep') bus.publish({ type: 'agent', agentId: id });
        return done;
      } catch (error) {
        if (tries >= TRIES) throw error;
        await new Promise<void>((resolve) => ambient.clock.setTimeout(resolve, RETRY_MS));
      }
    }
  }

  async #stay({ resident, snapshot }: Departure): Promise<void> {
    const { store, home, node } = this.#options;
    this.#counts.stayed += 1;
    const row = await store.get(resident.row.id, resident.row.tenant);
    if (!row || row.owner !== node || row.epoch !== resident.row.epoch || row.desired === 'terminated') return;
    home().launch(snapshot == null ? row : { ...row, snapshot }, resident.entry);
  }
}
