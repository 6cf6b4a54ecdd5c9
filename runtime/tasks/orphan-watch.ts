// Finds claims that this node's lease holds and nobody here runs: a claim that committed while its connection died would
// otherwise stay `running` for as long as the node lives.

import type { TaskStore } from '../contracts/store.ts';
import type { ClaimedTask } from '../contracts/task.ts';

interface Claim {
  readonly taskId: string;
  readonly fence: number;
}
const keyOf = ({ taskId, fence }: Claim): string => `${taskId}/${fence}`;

export class OrphanWatch {
  #suspicious = false;
  #seen: ReadonlySet<string> = new Set();

  /** A claim failed with its outcome unknown. */
  suspect(): void {
    this.#suspicious = true;
  }

  /** Claims without a runner that two checks in a row saw, so that answers still on their way are not taken for lost. */
  async find(store: Pick<TaskStore, 'ownClaims'>, running: () => readonly Claim[]): Promise<readonly ClaimedTask[]> {
    if (!this.#suspicious || !store.ownClaims) return [];
    this.#suspicious = false;
    try {
      const claims = await store.ownClaims();
      // read after the answer: what was on its way when the question was put may run by now
      const known = new Set(running().map(keyOf));
      const unknown = claims.filter((task) => !known.has(keyOf(task)));
      const orphans = unknown.filter((task) => this.#seen.has(keyOf(task)));
      this.#seen = new Set(unknown.map(keyOf));
      if (unknown.length > 0) this.#suspicious = true;
      return orphans;
    } catch (error) {
      this.#suspicious = true;
      throw error;
    }
  }
}
