// The inspector's routes over a real node: threads, agents, workflows, a live feed, a profile.

import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { InspectedAgent, InspectFrame, InspectThreads, InspectTree } from '../../runtime/contracts/inspection.ts';
import { type ApiNode, apiNode } from '../kit/api-node.ts';
import { eventually } from '../kit/eventually.ts';

const kitModule = (name: string): string => fileURLToPath(new URL(`../kit/actors/${name}.ts`, import.meta.url));

let node: ApiNode;
const inspect = async (path: string, body?: unknown, method = body === undefined ? 'GET' : 'POST') =>
  node.api(method, `/../inspect${path}`, body);

beforeAll(async () => {
  node = await apiNode({ threads: 2, agentRoots: [kitModule('keeper'), kitModule('turnstile')] });
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
  const up = async () => {
    const { items } = (await inspect('/threads')).body as unknown as InspectThreads;
    return items.find(({ liveness }) => liveness !== 'dead')?.thread;
  };
  const thread = wanted === 0 ? 0 : await eventually(up);
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

describe('one agent', () => {
  test('is shown with its lifecycle, its state, its task in hand, and who has written to it since somebody looked', async () => {
    const { troupe } = node;
    const agent = await troupe.agents.spawn('probe', { name: 'looked-at' });
    const look = async () => (await inspect('/agents/looked-at')).body as unknown as InspectedAgent;
    expect(await look()).toMatchObject({
      tree: { subject: agent.id },
      lifecycle: { value: 'idle', active: ['idle'], events: expect.arrayContaining(['pause']) },
      machine: null,
      mailbox: { waiting: 0, capacity: 1_000 },
      problem: null,
    });
    const task = await troupe.tasks.start({ capability: 'probe.run', agentId: agent.id, input: { sleepMs: 1_000 } });
    await eventually(async () => (await look()).running.some(({ taskId }) => taskId === task.id));
    await troupe.agents.tell(agent.id, 'hello', { n: 1 });
    await eventually(async () => (await look()).messages.some(({ type, to }) => type === 'hello' && to === agent.id));
    await task.cancel();
  });

  test('made from a machine shows the machine with its current state lit', async () => {
    await node.troupe.agents.spawn('turnstile', { name: 'gate' });
    const look = async () => (await inspect('/agents/gate')).body as unknown as InspectedAgent;
    expect((await look()).machine).toMatchObject({
      id: 'turnstile',
      value: 'locked',
      active: ['locked'],
      events: ['coin'],
      definition: { initial: 'locked', states: { unlocked: { on: { push: expect.anything() } } } },
    });
    await node.troupe.agents.tell('gate', 'coin', {});
    await eventually(async () => (await look()).machine?.value === 'unlocked');
    expect((await look()).context).toMatchObject({ coins: 1 });
  });
});

describe('focus', () => {
  test('tells the XState events of the actor in focus, over its restart, and of no other', async () => {
    const { troupe } = node;
    const agent = await troupe.agents.spawn('turnstile', { name: 'watched' });
    await troupe.agents.spawn('turnstile', { name: 'unwatched' });
    await using viewer = follow({ actors: ['watched', 'nobody'] });
    const told = () => viewer.frames.flatMap((frame) => (frame.type === 'actors' ? frame.items : []));
    await eventually(() => told().some(({ type }) => type === '@xstate.actor'));
    expect(viewer.frames.find(({ type }) => type === 'focus')).toMatchObject({
      focus: { actors: [agent.id] },
      missing: ['nobody'],
    });
    await troupe.agents.tell('watched', 'coin', {});
    await troupe.agents.tell('unwatched', 'coin', {});
    const { thread } = await troupe.agents.get('watched');
    const session = new RegExp(`^${troupe.system.node}/${thread}/1/${agent.id}/x:\\d+$`);
    await eventually(() => told().some((one) => one.type === '@xstate.event' && one.event.type === 'coin'));
    expect(told().find((one) => one.type === '@xstate.snapshot' && one.event.type === 'coin')).toMatchObject({
      sessionId: expect.stringMatching(session),
      agent: agent.id,
      snapshot: { status: 'active', value: 'unlocked', context: { coins: 1 } },
    });
    expect(
      told().find((one) => one.type === '@xstate.actor' && one.definition !== undefined && one.name !== 'lifecycle'),
    ).toMatchObject({ definition: expect.stringContaining('"id":"turnstile"') });
    expect(new Set(told().map((one) => one.agent))).toEqual(new Set([agent.id]));
    troupe.system.killThread(thread ?? 1);
    await eventually(() =>
      told().some((one) => one.type === '@xstate.actor' && one.sessionId.includes(`/2/${agent.id}/`)),
    );
  });

  test('tells the messages from and to the agents in focus, questions with their replies', async () => {
    const { troupe } = node;
    const agent = await troupe.agents.spawn('keeper', { name: 'heard' });
    await using viewer = follow({ messages: { agents: ['heard'], types: ['ke*'] } });
    await eventually(() => viewer.frames.some(({ type }) => type === 'focus'));
    const told = () => viewer.frames.flatMap((frame) => (frame.type === 'messages' ? frame.items : []));
    await eventually(async () => {
      await troupe.agents.ask('heard', 'keep', { value: 'v' }, { timeoutMs: 2_000 }).catch(() => undefined);
      return told().some(({ kind }) => kind === 'reply' || kind === 'error');
    });
    const ask = told().find(({ kind }) => kind === 'ask');
    const reply = told().find(({ kind }) => kind === 'reply' || kind === 'error');
    expect(ask).toMatchObject({ from: null, to: agent.id, type: 'keep', via: 'outside', protocol: 'request-response' });
    expect(ask?.bytes).toBeGreaterThan(5);
    expect(reply).toMatchObject({ from: agent.id, to: null, correlation: ask?.correlation });
  });

  test('of the tree itself tells the actors of the supervision tree', async () => {
    await using viewer = follow({ actors: ['main'] });
    const told = () => viewer.frames.flatMap((frame) => (frame.type === 'actors' ? frame.items : []));
    await eventually(() => told().some(({ type }) => type === '@xstate.actor'));
    await node.troupe.agents.spawn('probe');
    await eventually(() => told().some((one) => one.type === '@xstate.actor' && one.name.startsWith('agt_')));
    expect(told()[0]).toMatchObject({ agent: null, thread: 0, sessionId: expect.stringContaining('/0/0/tree/x:') });
  });
});
