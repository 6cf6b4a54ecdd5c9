// How long agents have had nothing to do: what they counted at the last looks, compared. An agent that has mail or works is not idle.

import type { AgentId } from '../contracts/ids.ts';
import type { CellStats } from '../contracts/wire.ts';

interface Seen {
  /** Everything it ever counted, in one number: it grows with whatever happens to it. */
  readonly activity: number;
  readonly incarnation: number;
  readonly sinceMs: number;
}

export class Idleness {
  readonly #seen = new Map<AgentId, Seen>();

  /** Takes a look at all agents of the node; whoever is not among them is forgotten. */
  look(all: readonly CellStats[], nowMs: number): void {
    const ids = new Set(all.map(({ id }) => id));
    for (const id of this.#seen.keys()) if (!ids.has(id)) this.#seen.delete(id);
    for (const stats of all) {
      const { id, incarnation } = stats;
      const before = this.#seen.get(id);
      const activity = activityOf(stats);
      const quiet = stats.state === 'idle' && stats.mailbox === 0 && (stats.execution?.running ?? 0) === 0;
      if (quiet && before?.activity === activity && before.incarnation === incarnation) continue;
      this.#seen.set(id, { activity: quiet ? activity : -1, incarnation, sinceMs: nowMs });
    }
  }

  /** How long nothing has happened to it, as far as was seen; 0 for an agent that is busy or not known. */
  idleForMs(id: AgentId, nowMs: number): number {
    const seen = this.#seen.get(id);
    return seen === undefined || seen.activity < 0 ? 0 : nowMs - seen.sinceMs;
  }
}

function activityOf({ received, sent, replied, refused, errors, execution }: CellStats): number {
  const tasks = execution ? execution.started + execution.completed + execution.failed : 0;
  return received + sent + replied + refused + errors + tasks;
}
