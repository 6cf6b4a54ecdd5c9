// A long series of deaths (TROUPE_DEATHS of them, default 12; `npm run deaths` runs 100): the cells of each thread that dies are
// told lost exactly once and live again, and the cells beside it never notice.

import { afterEach, expect, test } from 'vitest';
import type { AgentId } from '../../runtime/contracts/ids.ts';
import { startPool, type TestPool } from '../kit/pool.ts';

const DEATHS = Number(process.env.TROUPE_DEATHS ?? 12);
const CELLS = 3;
const WAYS = [
  { how: 'exit', reason: 'exited' },
  { how: 'throw', reason: 'threw' },
  { how: 'oom', reason: 'out_of_memory' },
  { how: 'spin', reason: 'stuck' },
] as const;

let rig: TestPool;
afterEach(() => rig?.pool.stop());

test(
  `${DEATHS} deaths in four ways: each is told once, the cells beside them never notice`,
  async () => {
    rig = await startPool({ threads: 3, maxOldGenerationSizeMb: 48, stuckAfterMs: 1_500, stuckKillMs: 3_000 });
    const witnesses = [await rig.puppet('witness-0', 1), await rig.puppet('witness-1', 1)] as const;
    const incarnations = new Map<AgentId, number>();
    const lostBefore = () => rig.of('cell.lost').length;
    let deaths = 0;
    let expectedLost = 0;
    const reasons: string[] = [];
    while (deaths < DEATHS) {
      const victims = rig.pool
        .threadStats()
        .map(({ thread }) => thread)
        .filter((thread) => thread !== 1)
        .slice(0, DEATHS - deaths);
      for (const thread of victims) {
        for (let n = 0; n < CELLS; n++) {
          const name = `victim-${victims.indexOf(thread)}-${n}`;
          const incarnation = Math.floor(deaths / 2) + 1;
          const id = await rig.puppet(name, thread, { incarnation });
          incarnations.set(id, incarnation);
          expect(await rig.pool.ask(id, 'who', null, { timeoutMs: 10_000 })).toMatchObject({ thread, incarnation });
        }
      }
      for (const thread of victims) {
        const way = WAYS[deaths++ % WAYS.length] ?? WAYS[0];
        reasons.push(`${thread} ${way.reason}`);
        rig.pool.killThread(thread, way.how);
      }
      expectedLost += victims.length * CELLS;
      // Those beside them work on all the while.
      await rig.pool.ask(witnesses[0], 'send', { to: witnesses[1], type: 'ordered', times: 1 }, { timeoutMs: 10_000 });
      await rig.pool.tell(witnesses[0], 'inc', { n: 1 });
      await rig.until(() => lostBefore() >= expectedLost, `the loss of ${expectedLost} cells`);
      await rig.until(
        () => rig.of('thread.up').length - rig.of('thread.down').length === 3,
        `the pool is full again after ${deaths} deaths`,
      );
      expect(rig.of('thread.down').length, 'deaths told').toBe(deaths);
      expect(lostBefore()).toBe(expectedLost);
    }
    expect(
      rig
        .of('thread.down')
        .map(({ thread, reason }) => `${thread} ${reason}`)
        .sort(),
    ).toEqual(reasons.sort());
    const told = rig.of('cell.lost').map(({ id, incarnation }) => `${id} ${incarnation}`);
    expect(new Set(told).size).toBe(DEATHS * CELLS);
    expect(told).toHaveLength(DEATHS * CELLS);
    expect(rig.of('cell.lost').filter(({ id }) => witnesses.includes(id))).toEqual([]);
    expect(rig.of('cell.failed')).toEqual([]);
    const rounds = Math.ceil(DEATHS / 2);
    expect(await rig.report(witnesses[0])).toMatchObject({ count: rounds });
    expect(await rig.pool.ask(witnesses[1], 'who', null, { timeoutMs: 10_000 })).toMatchObject({
      thread: 1,
      incarnation: 1,
    });
    expect(rig.of('dead-letter')).toEqual([]);
  },
  60_000 + DEATHS * 20_000,
);
