// The inspector's routes over a real node: threads, agents, workflows, a live feed, a profile.

import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { InspectFrame, InspectTree } from '../../runtime/contracts/inspection.ts';
import { type ApiNode, apiNode } from '../kit/api-node.ts';
import { eventually } from '../kit/eventually.ts';

let node: ApiNode;
const inspect = async (path: string, body?: unknown, method = body === undefined ? 'GET' : 'POST') =>
  node.api(method, `/../inspect${path}`, body);

beforeAll(async () => {
  node = await apiNode({ threads: 2 });
}, 60_000);
afterAll(() => node.stop());

/** Frames of a feed as they come, until the test is over. */
function follow(focus = {}) {
  const ending = new AbortController();
  const feed = node.troupe.inspection.open({ focus, signal: ending.signal });
  const frames: InspectFrame[] = [];
  const done = (async () => {
    for await (const frame of feed.frames) frames.push(frame);
  })();
  return {
    id: feed.id,
    frames,
    async [Symbol.asyncDispose]() {
      ending.abort();
      await done;
    },
  };
}

describe('the tree', () => {
  test('has the root, the threads and every agent with its thread and incarnation', async () => {
    const agent = await node.troupe.agents.spawn('probe', { name: 'seen' });
    const { status, body } = await inspect('/tree');
    expect(status).toBe(200);
    const { items, counts } = body as unknown as InspectTree;
    const own = node.troupe.system.node;
    expect(items[0]).toMatchObject({ id: `${own}/root`, parent: null, kind: 'root', state: 'running' });
    expect(items.filter(({ kind }) => kind === 'thread')).toHaveLength(2);
    expect(items.find(({ name }) => name === 'seen')).toMatchObject({
      id: `${own}/agents/${agent.id}`,
      parent: `${own}/agents`,
      type: 'probe',
      state: 'idle',
      incarnation: 1,
      mailbox: 0,
      session: expect.stringMatching(new RegExp(`^${own}/\\d+/1/${agent.id}$`)),
    });
    expect(counts[own]?.byTypeAndState['probe idle']).toBeGreaterThanOrEqual(1);
  });

  test('is followed live: a new agent, a restart and a thread that dies', async () => {
    await using viewer = follow();
    const agent = await node.troupe.agents.spawn('probe', { name: 'followed' });
    const sets = () => viewer.frames.flatMap((frame) => (frame.type === 'tree' ? frame.set : []));
    await eventually(() => sets().some(({ subject }) => subject === agent.id));
    const { thread } = await node.troupe.agents.get(agent.id);
    node.troupe.system.killThread(thread ?? 1);
    await eventually(() => {
      const now = sets().findLast(({ subject }) => subject === agent.id);
      return now?.state === 'idle' && now.incarnation === 2;
    });
    await eventually(() => sets().findLast(({ kind }) => kind === 'threads')?.restarts === 1);
    const { body } = await inspect('/threads');
    expect(body).toMatchObject({ deaths: [{ thread }] });
  });
});

test('the feed begins with hello and has figures every second', async () => {
  await using viewer = follow();
  await eventually(() => viewer.frames.some(({ type }) => type === 'figures'));
  expect(viewer.frames[0]).toMatchObject({ type: 'hello', stream: viewer.id, node: node.troupe.system.node });
});

test.each([1, 0])('a profile of a thread is one that DevTools can open (thread %i)', async (wanted) => {
  const { items } = (await inspect('/threads')).body as unknown as { items: { thread: number }[] };
  const thread = wanted === 0 ? 0 : (items.at(-1)?.thread ?? 0);
  const { status, body } = await inspect(`/threads/${thread}/profile`, { seconds: 0.2 });
  expect(status).toBe(200);
  expect(body).toMatchObject({ nodes: expect.any(Array), samples: expect.any(Array), timeDeltas: expect.any(Array) });
  expect((body.endTime as number) - (body.startTime as number)).toBeGreaterThan(150_000);
});

test('an unknown thread, agent and stream are 404', async () => {
  expect((await inspect('/threads/999/profile', {})).body).toMatchObject({ status: 404, code: 'thread_not_found' });
  expect((await inspect('/agents/nobody')).body).toMatchObject({ status: 404, code: 'actor_not_found' });
  expect((await inspect('/streams/none/focus', {})).body).toMatchObject({ status: 404, code: 'stream_not_found' });
});
