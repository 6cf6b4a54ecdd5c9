// Two puppets in a pool of their own: what the message scenarios measure of ours.

import type { AgentId } from '../runtime/contracts/ids.ts';
import { type Report, startPool } from '../test/kit/pool.ts';

let pools = 0;

export interface Pair {
  ask(type: string, body: unknown): Promise<unknown>;
  report(): Promise<Report>;
  readonly from: AgentId;
  readonly to: AgentId;
  close(): Promise<void>;
}

/** A sender in thread 1 and a receiver in the thread named. */
export async function pair(thread: 1 | 2): Promise<Pair> {
  const rig = await startPool({
    threads: 2,
    beatMs: 100,
    stuckAfterMs: 5_000,
    stuckKillMs: 60_000,
    maxOldGenerationSizeMb: 512,
  });
  pools++;
  const from = await rig.puppet(`bench-from-${pools}`, 1);
  const to = await rig.puppet(`bench-to-${pools}`, thread);
  return {
    from,
    to,
    ask: (type, body) => rig.pool.ask(from, type, body, { timeoutMs: 120_000 }),
    report: () => rig.report(to),
    close: () => rig.pool.stop(),
  };
}

/** One round of tells: the receiver's count and checksum must have grown by exactly what was sent. */
export async function tellRound(pair: Pair, times: number): Promise<{ count: number; ms: number }> {
  const before = await pair.report();
  const begin = performance.now();
  const sent = (await pair.ask('send', { to: pair.to, type: 'inc', times, confirmEvery: 2_048 })) as {
    checksum: number;
  };
  const after = await pair.report();
  const ms = performance.now() - begin;
  const count = after.count - before.count;
  if (count !== times || after.sum - before.sum !== sent.checksum) {
    throw new Error(`${count} of ${times} messages arrived, or with other contents`);
  }
  return { count, ms };
}

/** One round of questions, `inFlight` at a time; each reply is compared with its question. */
export async function askRound(
  pair: Pair,
  times: number,
  inFlight: number,
): Promise<{ count: number; ms: number; p50Ms: number }> {
  const begin = performance.now();
  const { wrong, p50Ms } = (await pair.ask('ask-many', { to: pair.to, times, inFlight })) as {
    wrong: number;
    p50Ms: number;
  };
  if (wrong > 0) throw new Error(`${wrong} questions got a reply that was not theirs`);
  return { count: times, ms: performance.now() - begin, p50Ms };
}
