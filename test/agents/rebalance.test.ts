import { describe, expect, test } from 'vitest';
import { Idleness } from '../../runtime/agents/idleness.ts';
import { Balance, MOVES } from '../../runtime/agents/rebalance.ts';
import type { AgentId, NodeId } from '../../runtime/contracts/ids.ts';
import type { CellStats } from '../../runtime/contracts/wire.ts';

const nodes = (...agents: number[]) =>
  agents.map((count, at) => ({ id: `n${at}` as NodeId, agents: count, takes: true }));

describe('balance', () => {
  test.each([
    ['alone', nodes(100)],
    ['within its slack', nodes(18, 4)],
    ['below its share', nodes(10, 90)],
    ['the other one drains', nodes(100, 0).map((node, at) => ({ ...node, takes: at === 0 }))],
  ])('nothing moves: %s', (_name, given) => {
    const balance = new Balance('n0' as NodeId);
    for (let round = 0; round < 5; round++) expect(balance.decide(given)).toBeUndefined();
  });

  test('a joining node gets its share in bounded rounds, and then nothing moves to and fro', () => {
    const all = ['n0', 'n1', 'n2'].map((id) => new Balance(id as NodeId));
    const counts = [150, 150, 0];
    const moves: number[][] = [];
    for (let round = 0; round < 40; round++) {
      const before = nodes(...counts);
      all.forEach((balance, at) => {
        const move = balance.decide(before);
        if (!move) return;
        expect(move.count).toBeLessThanOrEqual(MOVES);
        const to = Number(move.to.slice(1));
        counts[at] = (counts[at] ?? 0) - move.count;
        counts[to] = (counts[to] ?? 0) + move.count;
        moves.push([at, to]);
      });
    }
    expect(Math.max(...counts) - Math.min(...counts)).toBeLessThanOrEqual(16);
    expect(new Set(moves.map(([, to]) => to))).toEqual(new Set([2]));
    expect(moves.length).toBeLessThan(12);
  });

  test('one crowded look moves nothing: it must be seen twice', () => {
    const balance = new Balance('n0' as NodeId);
    expect(balance.decide(nodes(100, 0))).toBeUndefined();
    expect(balance.decide(nodes(50, 50))).toBeUndefined();
    expect(balance.decide(nodes(100, 0))).toBeUndefined();
    expect(balance.decide(nodes(100, 0))).toEqual({ to: 'n1', count: 32 });
  });
});

describe('idleness', () => {
  const stats = (over: Partial<CellStats>): CellStats => ({
    ...{ id: 'a' as AgentId, incarnation: 1, state: 'idle', mailbox: 0, received: 0, sent: 0, replied: 0, refused: 0 },
    ...{ errors: 0, deliveryP95Ms: 0, startedAgoMs: 0 },
    ...over,
  });
  const a = 'a' as AgentId;

  test('grows while nothing happens, and begins anew with whatever does', () => {
    const idle = new Idleness();
    idle.look([stats({})], 1_000);
    idle.look([stats({})], 2_000);
    expect(idle.idleForMs(a, 2_500)).toBe(1_500);
    idle.look([stats({ received: 1 })], 3_000);
    expect(idle.idleForMs(a, 3_500)).toBe(500);
    idle.look([stats({ received: 1, incarnation: 2 })], 4_000);
    expect(idle.idleForMs(a, 4_000)).toBe(0);
  });

  test.each([
    ['has mail', { mailbox: 1 }],
    ['works', { state: 'running' as const }],
    ['is paused', { state: 'paused' as const }],
  ])('an agent that %s is not idle, however long', (_name, over) => {
    const idle = new Idleness();
    for (const at of [0, 10_000, 20_000]) idle.look([stats(over)], at);
    expect(idle.idleForMs(a, 30_000)).toBe(0);
    idle.look([stats({})], 31_000);
    expect(idle.idleForMs(a, 31_000)).toBe(0);
    idle.look([], 32_000);
    expect(idle.idleForMs(a, 33_000)).toBe(0);
  });
});
