// The inspector over a made-up node, with a manual clock: pages, patches, focus, and viewers that do not keep up.

import { describe, expect, test } from 'vitest';
import { lifecycleMachine } from '../../actors/agent/lifecycle.ts';
import type { InspectFrame } from '../../runtime/contracts/inspection.ts';
import { activeIn } from '../../runtime/contracts/xstate-wire.ts';
import { FrameQueue } from '../../runtime/observe/inspection/frame-queue.ts';
import { LIFECYCLE_DEFINITION } from '../../runtime/observe/inspection/lifecycle-chart.ts';
import { clip, roughBytes } from '../../runtime/transport/clip.ts';
import { testAmbient } from '../kit/ambient.ts';
import { type MadeUpNode, madeUpNode, NODE } from '../kit/inspection.ts';

function rig() {
  const ambient = testAmbient({ startMs: Date.parse('2026-01-01T00:00:00Z') });
  return { ambient, node: madeUpNode(ambient) };
}

/** The frames that waited, without waiting for more. */
async function framesOf(
  node: MadeUpNode,
  act: (ambient: ReturnType<typeof rig>['ambient']) => void,
  given: object,
  ambient: ReturnType<typeof rig>['ambient'],
) {
  const ending = new AbortController();
  const feed = node.inspector.open({ focus: given, signal: ending.signal });
  act(ambient);
  ending.abort();
  const frames: InspectFrame[] = [];
  for await (const frame of feed.frames) frames.push(frame);
  return frames;
}

describe('pages of the tree', () => {
  test('come one after the other without gap or repeat', async () => {
    const { node } = rig();
    for (let n = 0; n < 25; n++) node.spawn(`agt_${n}`, { type: n % 2 ? 'odd' : 'even' });
    const ids: string[] = [];
    let cursor: string | null = null;
    do {
      const page = await node.inspector.tree({ limit: 7, ...(cursor === null ? {} : { cursor }) });
      ids.push(...page.items.map(({ id }) => id));
      cursor = page.nextCursor;
    } while (cursor !== null);
    expect(new Set(ids).size).toBe(ids.length);
    expect(ids.filter((id) => id.startsWith(`${NODE}/agents/`))).toHaveLength(25);
  });

  test.each([
    ['type', { type: 'odd' }, 2],
    ['parent', { parent: `${NODE}/agents` }, 5],
    ['kind', { kind: 'thread' as const }, 2],
    ['state', { state: 'paused', kind: 'agent' as const }, 1],
    ['thread', { thread: 2, kind: 'agent' as const }, 1],
    ['text', { q: 'SPECIAL' }, 1],
    ['another node', { node: 'nod_other' }, 0],
  ])('are narrowed by %s', async (_name, query, found) => {
    const { node } = rig();
    for (let n = 0; n < 4; n++) node.spawn(`agt_${n}`, { type: n % 2 ? 'odd' : 'even' });
    node.spawn('agt_4', { name: 'Special one', thread: 2 });
    node.move('agt_0', 'paused', 'pause');
    expect((await node.inspector.tree(query)).total).toBe(found);
  });

  test('hide agents and workflows of other tenants, their counts too', async () => {
    const { node } = rig();
    node.spawn('agt_mine');
    node.spawn('agt_other', { tenant: 'other' });
    node.workflows.set('wfl_other', { tenant: 'other', steps: ['a'] });
    const page = await node.inspector.tree({}, { tenant: 'default' });
    expect(JSON.stringify(page)).not.toContain('other');
    expect(page.counts[NODE]).toMatchObject({ total: 1, workflows: 0, byTypeAndState: { 'worker idle': 1 } });
  });

  test('refuse a cursor that is none', async () => {
    await expect(rig().node.inspector.tree({ cursor: 'x' })).rejects.toMatchObject({ code: 'invalid_input' });
  });
});

describe('a feed', () => {
  test('patches what changed, once for all changes of a moment, and tells the counts', async () => {
    const { node, ambient } = rig();
    node.spawn('agt_0');
    const frames = await framesOf(
      node,
      ({ clock }) => {
        node.move('agt_0', 'running');
        node.move('agt_0', 'idle');
        node.move('agt_0', 'running');
        node.spawn('agt_1');
        node.spawn('agt_2');
        node.move('agt_2', 'terminated');
        clock.advance(250);
      },
      {},
      ambient,
    );
    const patches = frames.filter((frame) => frame.type === 'tree');
    expect(patches).toHaveLength(1);
    expect(
      patches[0]?.set.filter(({ kind }) => kind === 'agent').map(({ subject, state }) => [subject, state]),
    ).toEqual([
      ['agt_0', 'running'],
      ['agt_1', 'idle'],
    ]);
    expect(patches[0]?.removed).toEqual([`${NODE}/agents/agt_2`]);
    expect(patches[0]?.counts.byTypeAndState).toEqual({ 'worker running': 1, 'worker idle': 1 });
  });

  test('leaves out what only flips and is not on the screen', async () => {
    const { node, ambient } = rig();
    for (const id of ['agt_0', 'agt_1', 'agt_2']) node.spawn(id);
    const frames = await framesOf(
      node,
      ({ clock }) => {
        node.move('agt_0', 'running');
        node.move('agt_1', 'running');
        node.move('agt_2', 'error', 'crash');
        clock.advance(250);
      },
      { rows: [`${NODE}/agents/agt_1`] },
      ambient,
    );
    const set = frames.flatMap((frame) => (frame.type === 'tree' ? frame.set : []));
    expect(set.filter(({ kind }) => kind === 'agent').map(({ subject }) => subject)).toEqual(['agt_1', 'agt_2']);
  });

  test('spreads many changes over frames and loses none', async () => {
    const { node, ambient } = rig();
    const frames = await framesOf(
      node,
      ({ clock }) => {
        for (let n = 0; n < 1_200; n++) node.spawn(`agt_${n}`);
        for (let n = 0; n < 3; n++) clock.advance(250);
      },
      {},
      ambient,
    );
    const patches = frames.filter((frame) => frame.type === 'tree');
    expect(patches.map(({ more }) => more)).toEqual([true, true, false]);
    const agents = patches.flatMap(({ set }) => set).filter(({ kind }) => kind === 'agent');
    expect(new Set(agents.map(({ id }) => id)).size).toBe(1_200);
  });

  test('hears nothing of the node once it is closed', async () => {
    const { node, ambient } = rig();
    await framesOf(node, () => {}, {}, ambient);
    ambient.clock.advance(1);
    expect(ambient.clock.pending).toBe(0);
  });

  test('that nobody reads is cut with a reset', async () => {
    const queue = new FrameQueue();
    for (let n = 0; n < 401; n++) queue.push({ type: 'actors', items: [], dropped: n });
    const frames: InspectFrame[] = [];
    for await (const frame of queue.frames()) frames.push(frame);
    expect(frames).toMatchObject([{ type: 'reset', end: true }]);
  });
});

test('threads are told of the focus of all viewers together, and to stop when the last one is gone', async () => {
  const { node, ambient } = rig();
  const call = { tenant: 'default' };
  const view = (id: string, actors: string[]) =>
    node.local.view({
      id,
      tenant: call.tenant,
      focus: { actors, messages: { agents: [], types: [], perSecond: 5, bodies: true }, events: false },
      emit: () => {},
    });
  const [one, two] = [view('one', ['agt_1']), view('two', ['agt_1', 'agt_2'])];
  ambient.clock.advance(1);
  expect(node.focuses.at(-1)).toMatchObject({ actors: ['agt_1', 'agt_2'], messages: [{ id: 'one' }, { id: 'two' }] });
  one.close();
  two.close();
  ambient.clock.advance(1);
  expect(node.focuses.at(-1)).toEqual({ actors: [], messages: [] });
});

test('the chart of the lifecycle is that of the machine the agents run', () => {
  const machine = Object.entries(lifecycleMachine.states).map(([name, state]) => {
    const on = Object.fromEntries(
      [...state.transitions].map(([event, transitions]) => [
        event,
        [...new Set(transitions.map(({ target }) => target?.[0]?.key ?? name))].toSorted(),
      ]),
    );
    return [name, on];
  });
  const chart = Object.entries(LIFECYCLE_DEFINITION.states).map(([name, state]) => {
    const on: Record<string, string | readonly string[]> = 'on' in state ? state.on : {};
    return [name, Object.fromEntries(Object.entries(on).map(([event, to]) => [event, [to].flat().toSorted()]))];
  });
  expect(Object.fromEntries(chart)).toEqual(Object.fromEntries(machine));
});

test('active states of nested and parallel values are named from the root down', () => {
  expect(activeIn({ a: { b: 'c' }, d: 'e' })).toEqual(['a', 'a.b', 'a.b.c', 'd', 'd.e']);
});

describe('clip', () => {
  test.each([
    ['functions and symbols', { f: () => 1 }, { f: '(function)' }],
    ['maps', { m: new Map([[1, 2]]) }, { m: '(Map of 1)' }],
    ['bytes', { b: new Uint8Array(3) }, { b: '(3 bytes)' }],
    ['getters, uncalled', Object.defineProperty({}, 'g', { enumerable: true, get: () => 1 }), { g: '(getter)' }],
    ['depth', { a: { b: { c: { d: { e: { f: {} } } } } } }, { a: { b: { c: { d: { e: { f: '(deeper)' } } } } } }],
    ['numbers that JSON has not', [Number.NaN], ['NaN']],
  ])('bounds %s', (_name, given, expected) => {
    expect(clip(given)).toEqual(expected);
  });

  test('never grows beyond its bounds, whatever it is given', () => {
    const wide = Object.fromEntries(
      Array.from({ length: 1_000 }, (_, n) => [`k${n}`, { list: Array(1_000).fill('x'.repeat(9_000)) }]),
    );
    expect(JSON.stringify(clip(wide)).length).toBeLessThan(40_000);
    const round: { self?: unknown } = {};
    round.self = round;
    expect(JSON.stringify(clip(round))).toContain('(deeper)');
  });

  test('estimates sizes near those of JSON', () => {
    const value = { name: 'ann', list: ['one', 'two'], at: { x: 1 } };
    const exact = JSON.stringify(value).length;
    expect(Math.abs(roughBytes(value) - exact)).toBeLessThan(exact / 2);
  });
});
