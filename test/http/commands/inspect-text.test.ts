// The picture of `troupe inspect`: two sights of a made-up cluster in, lines out.

import { expect, test } from 'vitest';
import { inspectText, type Sight } from '../../../http/commands/inspect-text.ts';
import { testAmbient } from '../../kit/ambient.ts';
import { madeUpNode } from '../../kit/inspection.ts';

async function sights(): Promise<{ before: Sight; now: Sight }> {
  const node = madeUpNode(testAmbient({ startMs: 0 }));
  for (const id of ['agt_calm', 'agt_busy', 'agt_broken', 'agt_full']) node.spawn(id, { name: id.slice(4) });
  node.move('agt_busy', 'running');
  node.move('agt_broken', 'error', 'crash');
  node.waiting.set('agt_full', 7);
  const see = async (atMs: number): Promise<Sight> => ({
    at: new Date(atMs).toISOString(),
    atMs,
    nodes: await node.inspector.nodes(),
    threads: await node.inspector.threads(),
    tree: await node.inspector.tree({ kind: 'agent' }),
  });
  const before = await see(0);
  node.threads.splice(0, 1, { ...node.threads[0], messagesIn: 500, thread: 1 } as (typeof node.threads)[0]);
  return { before, now: await see(500) };
}

test('shows agents with the most mail first, then those in trouble, then those at work', async () => {
  const { now, before } = await sights();
  const lines = inspectText(now, before, 10, 200).split('\n');
  const at = (name: string): number => lines.findIndex((line) => line.startsWith(`${name} `));
  const order = ['full', 'broken', 'busy', 'calm'].map(at);
  expect(order).toEqual(order.toSorted((a, b) => a - b));
  expect(Math.min(...order)).toBeGreaterThan(0);
});

test('shows rates as the difference of two sights, and none in the first', async () => {
  const { now, before } = await sights();
  const rateOf = (text: string): string | undefined =>
    text
      .split('\n')
      .find((line) => line.startsWith('nod_test  1 '))
      ?.trim()
      .split(/\s{2,}/)[7];
  expect(rateOf(inspectText(now, before, 1, 200))).toBe('1000');
  expect(rateOf(inspectText(now, undefined, 1, 200))).toBe('-');
});

test('fits the terminal', async () => {
  const { now, before } = await sights();
  expect(
    Math.max(
      ...inspectText(now, before, 10, 60)
        .split('\n')
        .map(({ length }) => length),
    ),
  ).toBeLessThanOrEqual(60);
});
