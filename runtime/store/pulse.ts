// The pulse: one statement that says what there is to do for this node. The probes are in the function troupe_pulse of the schema.
// A database that only this node writes to is not asked again while nothing in it has changed.

import type { Queue } from '../contracts/agent.ts';
import type { Clock } from '../contracts/ports.ts';
import type { Pulse } from '../contracts/store.ts';
import { type StoreDb, sql } from './sql.ts';

/** Queues of each sort (shared, of single agents) that one pulse names. */
const MOST_QUEUES = 1_000;
/** Agent timers that are due later than this are left to a later pulse. */
const AHEAD_MS = 10_000;
/** How long "nothing to do" holds while nothing changes: a timer that comes within sight meanwhile is not due yet. */
const QUIET_MS = AHEAD_MS - 2_000;

/** What the function answers: what does not apply is absent, so that an idle node's answer is `{}`. */
interface Answer {
  readonly promoteInMs?: number;
  readonly expireInMs?: number;
  readonly workflowTimerInMs?: number;
  readonly agentTimerInMs?: number;
  readonly queues?: readonly Queue[];
  readonly running?: number;
  readonly mail?: true;
  readonly freeRuns?: true;
  readonly freeAgents?: true;
  readonly foreignChanges?: number;
  readonly letters?: true;
  readonly wanted?: true;
  readonly sweep?: true;
}

export const PULSE = 'pulse';

export interface PulseOptions {
  /** No other node writes to this database: with `db.changes` an idle node need not ask it at every poll. */
  readonly alone: boolean;
  readonly clock: Pick<Clock, 'monotonicMs'>;
}

export function createPulse(
  db: Pick<StoreDb, 'query' | 'changes'>,
  node: string,
  { alone, clock }: PulseOptions,
): () => Promise<Pulse> {
  const statement = sql(PULSE, 'SELECT troupe_pulse($1, $2, $3) AS answer', node, MOST_QUEUES, AHEAD_MS);
  const changes = (): number | undefined => (alone ? db.changes?.() : undefined);
  let quiet: { readonly changes: number; readonly untilMs: number } | undefined;

  async function ask(): Promise<Answer> {
    const askedAtMs = clock.monotonicMs();
    const before = changes();
    if (quiet !== undefined && quiet.changes === before && askedAtMs < quiet.untilMs) return {};
    const { rows } = await db.query<{ answer: Answer }>(statement);
    const answer = rows[0]?.answer ?? {};
    const nothing = before !== undefined && Object.keys(answer).length === 0;
    quiet = nothing ? { changes: before, untilMs: askedAtMs + QUIET_MS } : undefined;
    return answer;
  }

  return async () => {
    const answer = await ask();
    return {
      promoteInMs: waitOf(answer.promoteInMs),
      expireInMs: waitOf(answer.expireInMs),
      workflowTimerInMs: waitOf(answer.workflowTimerInMs),
      agentTimerInMs: waitOf(answer.agentTimerInMs),
      queues: answer.queues ?? [],
      running: answer.running ?? 0,
      mail: answer.mail ?? false,
      freeRuns: answer.freeRuns ?? false,
      freeAgents: answer.freeAgents ?? false,
      foreignChanges: answer.foreignChanges ?? 0,
      letters: answer.letters ?? false,
      wanted: answer.wanted ?? false,
      sweep: answer.sweep ?? false,
    };
  };
}

/** Never below zero; null when there is nothing to wait for. */
const waitOf = (wait: number | undefined): number | null => (wait === undefined ? null : Math.max(0, Math.ceil(wait)));
