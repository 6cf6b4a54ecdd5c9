// Whether a tenant may submit more: an estimate of its open tasks, read from the store now and then and moved by what happens here.
// Exact enough: it is off by what other nodes accept between two readings.

import { RuntimeError } from '../contracts/errors.ts';
import type { Ambient } from '../contracts/ports.ts';
import type { TaskStore } from '../contracts/store.ts';
import { isTerminalTask, type TaskState } from '../contracts/task.ts';

export interface AdmissionParts {
  readonly store: Pick<TaskStore, 'counts'>;
  readonly ambient: Ambient;
  /** Open tasks of a tenant beyond which submits are refused. */
  readonly queueLimit: number;
  /** How old a reading may grow. */
  readonly refreshMs: number;
}

interface Tally {
  open: number;
  readAtMs: number;
  reading: Promise<void> | undefined;
}

const MOST_TENANTS = 10_000;

export class Admission {
  readonly #parts: AdmissionParts;
  readonly #tallies = new Map<string, Tally>();

  constructor(parts: AdmissionParts) {
    this.#parts = parts;
  }

  /**
   * Counts `count` tasks in, or throws.
   * @throws RuntimeError `queue_full` with details.limit, open and retryAfterMs.
   */
  async admit(tenant: string, count = 1): Promise<void> {
    const tally = this.#tally(tenant);
    const ageMs = this.#parts.ambient.clock.monotonicMs() - tally.readAtMs;
    if (ageMs >= this.#parts.refreshMs) {
      const reading = this.#read(tenant, tally);
      // the first reading and one that may refuse are awaited, the others come when they come
      if (ageMs === Number.POSITIVE_INFINITY || tally.open + count > this.#parts.queueLimit) await reading;
    }
    const { queueLimit: limit, refreshMs: retryAfterMs } = this.#parts;
    if (tally.open + count > limit) {
      const message = `the tenant has ${tally.open} open tasks of at most ${limit}`;
      throw new RuntimeError('queue_full', message, { details: { limit, open: tally.open, retryAfterMs } });
    }
    tally.open += count;
  }

  /** Tasks that were counted in and are not open (any more). */
  leave(tenant: string, count = 1): void {
    const tally = this.#tallies.get(tenant);
    if (tally) tally.open = Math.max(0, tally.open - count);
  }

  #tally(tenant: string): Tally {
    const known = this.#tallies.get(tenant);
    if (known) return known;
    if (this.#tallies.size >= MOST_TENANTS) this.#tallies.clear();
    const made: Tally = { open: 0, readAtMs: Number.NEGATIVE_INFINITY, reading: undefined };
    this.#tallies.set(tenant, made);
    return made;
  }

  #read(tenant: string, tally: Tally): Promise<void> {
    tally.reading ??= this.#parts.store
      .counts(tenant)
      .then(({ byState }) => {
        const states = Object.entries(byState) as [TaskState, number][];
        tally.open = states.reduce((sum, [state, count]) => sum + (isTerminalTask(state) ? 0 : count), 0);
        tally.readAtMs = this.#parts.ambient.clock.monotonicMs();
      })
      .catch((error: unknown) => {
        // the submit itself will say that the store is away
        this.#parts.ambient.log.debug('cannot count open tasks', { tenant, error });
      })
      .finally(() => {
        tally.reading = undefined;
      });
    return tally.reading;
  }
}
