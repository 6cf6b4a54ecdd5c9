// An inspector of one node looks at what lives on another: tree, agent, feed, profile, and the loss of that node.

import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { InspectFrame } from '../../runtime/contracts/inspection.ts';
import type { Troupe } from '../../runtime/index.ts';
import { eventually } from '../kit/eventually.ts';
import { freshDatabase, testRedisUrl } from '../kit/services.ts';
import { testTroupe } from '../kit/troupe.ts';

const LIMIT_MS = 120_000;
const kit = (name: string): string => fileURLToPath(new URL(`../kit/actors/${name}.ts`, import.meta.url));

let here: Troupe;
let there: Troupe;

beforeAll(async () => {
  const databaseUrl = await freshDatabase();
  const options = { databaseUrl, redisUrl: testRedisUrl(), threads: 1, agentRoots: [kit('turnstile')] };
  here = await testTroupe(options);
  there = await testTroupe(options);
  await eventually(
    async () => (await here.inspection.nodes()).items.filter(({ figures }) => figures !== null).length === 2,
  );
}, LIMIT_MS);
afterAll(async () => {
  await Promise.all([here?.stop(), there?.stop()]);
}, LIMIT_MS);

test('the tree, an agent and a profile of the other node', async () => {
  const agent = await there.agents.spawn('turnstile', { name: 'far' });
  const tree = await here.inspection.tree({ kind: 'agent', q: 'far' });
  expect(tree).toMatchObject({ total: 1, unreachable: [] });
  expect(tree.items[0]).toMatchObject({ subject: agent.id, node: there.system.node, type: 'turnstile', state: 'idle' });
  expect(Object.keys(tree.counts).toSorted()).toEqual([here.system.node, there.system.node].toSorted());
  const all = await here.inspection.tree({ limit: 5 });
  const items = [...all.items];
  for (let cursor = all.nextCursor; cursor !== null; ) {
    const page = await here.inspection.tree({ limit: 5, cursor });
    items.push(...page.items);
    cursor = page.nextCursor;
  }
  expect(items).toHaveLength(all.total);
  expect(new Set(items.map(({ id }) => id)).size).toBe(all.total);
  expect(items.filter(({ kind }) => kind === 'root')).toHaveLength(2);

  expect(await here.inspection.agent('far')).toMatchObject({ machine: { value: 'locked' }, problem: null });
  const { items: threads } = await here.inspection.threads();
  const far = threads.find(({ node }) => node === there.system.node);
  const request = { seconds: 0.2, intervalUs: 1_000, node: there.system.node };
  expect((await here.inspection.profile(far?.thread ?? -1, request)).samples.length).toBeGreaterThan(0);
});

test(
  'a feed follows an actor of the other node, and tells when that node is gone',
  async () => {
    const ending = new AbortController();
    const feed = here.inspection.open({
      focus: { actors: ['far'], messages: { agents: ['far'] } },
      signal: ending.signal,
    });
    const frames: InspectFrame[] = [];
    const reading = (async () => {
      for await (const frame of feed.frames) frames.push(frame);
    })();
    const actors = () => frames.flatMap((frame) => (frame.type === 'actors' ? frame.items : []));
    await eventually(() => actors().some(({ type }) => type === '@xstate.actor'));
    await here.agents.tell('far', 'coin', {});
    await eventually(() =>
      actors().some((one) => one.type === '@xstate.snapshot' && one.snapshot.value === 'unlocked'),
    );
    expect(actors()[0]?.sessionId.startsWith(`${there.system.node}/`)).toBe(true);
    const messages = frames.flatMap((frame) => (frame.type === 'messages' ? frame.items : []));
    await eventually(() => frames.some((frame) => frame.type === 'messages'));
    expect(messages.every(({ node }) => node === there.system.node)).toBe(true);
    await eventually(() =>
      frames.some((frame) => frame.type === 'figures' && frame.nodes[0]?.node === there.system.node),
    );
    await there.stop();
    await eventually(() => frames.some((frame) => frame.type === 'nodes' && frame.nodes.length === 1));
    ending.abort();
    await reading;
  },
  LIMIT_MS,
);
