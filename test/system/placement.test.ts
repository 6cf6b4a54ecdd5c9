// Which node hosts an agent: labels that it requires, at its creation and when its node is gone. Whole nodes in this process on one PostgreSQL
// and one Redis.

import { afterEach, expect, test } from 'vitest';
import type { Troupe, TroupeOptions } from '../../runtime/index.ts';
import { eventually } from '../kit/eventually.ts';
import { freshDatabase, testRedisUrl } from '../kit/services.ts';
import { testTroupe } from '../kit/troupe.ts';

const open: Troupe[] = [];
afterEach(async () => {
  await Promise.all(open.splice(0).map((node) => node.stop()));
});

async function node(databaseUrl: string, options: TroupeOptions = {}): Promise<{ troupe: Troupe; id: string }> {
  const troupe = await testTroupe({ databaseUrl, redisUrl: testRedisUrl(), threads: 1, leaseMs: 10_000, ...options });
  open.push(troupe);
  const { items } = await troupe.system.nodes();
  return { troupe, id: items.find(({ self }) => self)?.id ?? '' };
}

test('an agent lives where its labels are, waits visibly while they are nowhere, and follows them when its node is gone', async () => {
  const databaseUrl = await freshDatabase();
  const plain = await node(databaseUrl);
  const { items } = await plain.troupe.system.nodes();
  expect(items[0]?.labels).toEqual({});

  const made = await plain.troupe.agents.create({ type: 'keeper', name: 'painter', requires: { gpu: 'true' } });
  expect(made).toMatchObject({ node: null, state: 'created', requires: { gpu: 'true' } });
  expect(made.waiting).toBe('no node has the labels it requires: gpu=true');
  const listed = await plain.troupe.agents.list({});
  expect(listed.items[0]?.waiting).toBe(made.waiting);
  const task = await plain.troupe.tasks.submit({ capability: 'keeper.add', input: { amount: 1 }, agentId: made.id });
  const waits = async () => (await plain.troupe.tasks.get(task.id)).waitingFor;
  expect(await waits()).toBe('no_node_fits_agent');

  const first = await node(databaseUrl, { labels: { gpu: 'true', zone: 'a' } });
  const second = await node(databaseUrl, { labels: 'gpu=true,zone=b' });
  const shown = (await plain.troupe.system.nodes()).items.map(({ labels }) => labels);
  expect(shown).toEqual(expect.arrayContaining([{}, { gpu: 'true', zone: 'a' }, { gpu: 'true', zone: 'b' }]));
  const home = await eventually(async () => (await plain.troupe.agents.get(made.id)).node ?? undefined);
  expect([first.id, second.id]).toContain(home);
  await eventually(async () => (await plain.troupe.tasks.get(task.id)).status === 'completed');

  const [there, other] = home === first.id ? [first, second] : [second, first];
  await there.troupe.stop();
  open.splice(open.indexOf(there.troupe), 1);
  await eventually(async () => (await plain.troupe.agents.get(made.id)).node === other.id);
});
