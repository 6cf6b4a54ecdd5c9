import { describe, expect, test } from 'vitest';
import { NodeStatus, type Phase } from '../../runtime/system/status.ts';
import { silentLogger } from '../kit/ambient.ts';
import { ManualClock } from '../kit/manual-clock.ts';

/** A node whose backlog, commits, phase and database are what the test says. */
function rig() {
  const clock = new ManualClock();
  const now = { waits: false, committed: 0, phase: 'running' as Phase, asked: 0 };
  let health = (_up: boolean): void => undefined;
  const status = new NodeStatus({
    store: {
      onHealth(listener: (up: boolean) => void) {
        health = listener;
        return () => undefined;
      },
    } as never,
    bus: {} as never,
    pool: {} as never,
    ambient: { clock, log: silentLogger } as never,
    version: '0.0.0',
    redis: false,
    ollama: async () => 'down',
    agents: () => ({ byState: {}, byType: {} }),
    phase: () => now.phase,
    committed: () => now.committed,
    async startable() {
      now.asked += 1;
      return now.waits;
    },
  });
  /** Asks after so many seconds, and lets the look that this began come back. */
  const probeAfter = async (seconds: number): Promise<readonly string[]> => {
    await clock.advance(seconds * 1_000);
    const { ready, reasons } = status.ready();
    expect(ready).toBe(reasons.length === 0);
    await Promise.resolve();
    await Promise.resolve();
    return reasons;
  };
  return { now, probeAfter, database: (up: boolean) => health(up) };
}

const STALLED = ['tasks wait and none has ended for 10 s'];

describe('readiness', () => {
  test('names the phase while the node does not run', async () => {
    const { now, probeAfter } = rig();
    now.phase = 'draining';
    expect(await probeAfter(0)).toEqual(['the node is draining']);
    now.phase = 'running';
    expect(await probeAfter(0)).toEqual([]);
  });

  test('follows the health of the database', async () => {
    const { probeAfter, database } = rig();
    database(false);
    expect(await probeAfter(0)).toEqual(['the database does not answer']);
    database(true);
    expect(await probeAfter(0)).toEqual([]);
  });

  test.each([1, 5, 10, 15])('tells a backlog that does not move, asked every %i s', async (everyS) => {
    const { now, probeAfter } = rig();
    now.waits = true;
    expect(await probeAfter(0)).toEqual([]);
    let lastS = 0;
    while (lastS < 10) {
      lastS += everyS;
      expect(await probeAfter(everyS)).toEqual([]);
    }
    expect(await probeAfter(everyS + 2)).toEqual(STALLED);
    now.committed += 1;
    expect(await probeAfter(0)).toEqual([]);
  });

  test('a backlog of long ago, which others have taken meanwhile, is no stall', async () => {
    const { now, probeAfter } = rig();
    now.waits = true;
    await probeAfter(0);
    now.waits = false;
    expect(await probeAfter(60)).toEqual([]);
    expect(await probeAfter(60)).toEqual([]);
  });

  test('a backlog that moves is no stall, however long it lasts', async () => {
    const { now, probeAfter } = rig();
    now.waits = true;
    for (let at = 0; at < 10; at++) {
      now.committed += 1;
      expect(await probeAfter(5)).toEqual([]);
    }
  });

  test('the store is asked every two seconds at most', async () => {
    const { now, probeAfter } = rig();
    for (let at = 0; at < 100; at++) await probeAfter(0.1);
    expect(now.asked).toBeLessThanOrEqual(6);
    expect(now.asked).toBeGreaterThanOrEqual(4);
  });
});
