// Where agents of other nodes live, as far as this node knows: a bounded memory in front of the database. It may be wrong; who follows it
// hears "not here" and asks again.

import type { AgentId, NodeId } from '../contracts/ids.ts';
import type { AgentPlace, ClusterStore } from '../contracts/store-cluster.ts';

/** Agents that are remembered; the one used longest ago goes first. */
const REMEMBERED = 65_536;
/** Ids of one statement. */
const BATCH = 1_000;

export class Places {
  readonly #store: Pick<ClusterStore, 'places'>;
  readonly #known = new Map<AgentId, NodeId>();
  #waiting = new Map<AgentId, ((place: AgentPlace | undefined) => void)[]>();
  #failed: ((error: unknown) => void)[] = [];

  constructor(store: Pick<ClusterStore, 'places'>) {
    this.#store = store;
  }

  get(id: AgentId): NodeId | undefined {
    return this.#known.get(id);
  }

  learn(id: AgentId, owner: NodeId): void {
    if (this.#known.size >= REMEMBERED && !this.#known.has(id)) {
      for (const oldest of this.#known.keys()) {
        this.#known.delete(oldest);
        break;
      }
    }
    this.#known.set(id, owner);
  }

  forget(id: AgentId): void {
    this.#known.delete(id);
  }

  /** The node is gone; where its agents live now is asked again. */
  forgetNode(node: NodeId): void {
    for (const [id, owner] of this.#known) if (owner === node) this.#known.delete(id);
  }

  /** From the database; questions of one turn are one statement. Undefined: no such agent. Rejects with `store_unavailable`. */
  read(id: AgentId): Promise<AgentPlace | undefined> {
    return new Promise((resolve, reject) => {
      if (this.#waiting.size === 0) setImmediate(() => void this.#ask());
      this.#waiting.set(id, [...(this.#waiting.get(id) ?? []), resolve]);
      this.#failed.push(reject);
    });
  }

  async #ask(): Promise<void> {
    const waiting = this.#waiting;
    const failed = this.#failed;
    this.#waiting = new Map();
    this.#failed = [];
    try {
      const ids = [...waiting.keys()];
      for (let at = 0; at < ids.length; at += BATCH) {
        const slice = ids.slice(at, at + BATCH);
        const found = new Map((await this.#store.places(slice)).map((place) => [place.id, place]));
        for (const id of slice) for (const resolve of waiting.get(id) ?? []) resolve(found.get(id));
      }
    } catch (error) {
      for (const reject of failed) reject(error);
    }
  }
}
