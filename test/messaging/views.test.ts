// Views of members: kept while they are fresh, compared by number, and never older than what this node changed itself.

import { describe, expect, test } from 'vitest';
import { type AgentId, fromUuid } from '../../runtime/contracts/ids.ts';
import type { ChannelRow } from '../../runtime/contracts/store.ts';
import type { MemberRow } from '../../runtime/contracts/store-channels.ts';
import { type View, Views } from '../../runtime/messaging/views.ts';
import { ManualClock } from '../kit/manual-clock.ts';

const agent = (n: number): AgentId => fromUuid('agent', `00000000-0000-7000-8000-${String(n).padStart(12, '0')}`);
const id = fromUuid('channel', '00000000-0000-7000-8000-000000000001');
const at = '2026-01-01T00:00:00.000Z';

/** One channel whose members a test changes. */
function rig(freshMs: number) {
  const clock = new ManualClock();
  const state = {
    view: 1,
    members: [1, 2],
    gone: false,
    gets: 0,
    reads: 0,
    hold: Promise.resolve(),
    begun: (): void => {},
  };
  const row = (): ChannelRow => ({
    id,
    tenant: 'acme',
    kind: 'channel',
    name: 'news',
    view: state.view,
    filter: null,
    members: state.members.length,
    createdAt: at,
  });
  const member = (n: number): MemberRow => ({ agentId: agent(n), topic: '', type: '', where: null, joinedAt: at });
  const views = new Views({
    clock,
    freshMs,
    store: {
      async get() {
        state.gets++;
        return state.gone ? null : row();
      },
      async members() {
        state.reads++;
        const read = { view: state.view, members: state.members.map(member) };
        const { hold } = state;
        state.begun();
        await hold;
        return state.gone ? null : read;
      },
    },
  });
  const get = async () => (await views.get('acme', 'channel', 'news')) as View | undefined;
  const change = (members: number[]) => {
    state.members = members;
    state.view++;
  };
  return { clock, state, views, get, change };
}

const idsOf = (view: View | undefined) => view?.members.map(({ agentId }) => agentId);

describe('a view', () => {
  test('is read once while it is fresh', async () => {
    const { state, get } = rig(1_000);
    expect(idsOf(await get())).toEqual([agent(1), agent(2)]);
    expect((await get())?.viewId).toBe(`${id}/1`);
    expect([state.gets, state.reads]).toEqual([1, 1]);
  });

  test('is compared by its number when it is not fresh any more, and read again only if that has grown', async () => {
    const { clock, state, get, change } = rig(1_000);
    await get();
    clock.advance(1_001);
    await get();
    expect([state.gets, state.reads]).toEqual([2, 1]);
    change([3]);
    expect(idsOf(await get())).toEqual([agent(1), agent(2)]);
    clock.advance(1_001);
    expect(idsOf(await get())).toEqual([agent(3)]);
    expect((await get())?.viewId).toBe(`${id}/2`);
  });

  test('is read anew after a change of this node, however fresh', async () => {
    const { views, get, change } = rig(Number.POSITIVE_INFINITY);
    await get();
    change([4]);
    views.drop('other');
    expect(idsOf(await get())).toEqual([agent(1), agent(2)]);
    views.drop('acme');
    expect(idsOf(await get())).toEqual([agent(4)]);
  });

  test('that was being read while it changed is not kept', async () => {
    const { state, views, get, change } = rig(Number.POSITIVE_INFINITY);
    let go = (): void => undefined;
    const begun = new Promise<void>((resolve) => {
      state.begun = resolve;
    });
    state.hold = new Promise((resolve) => {
      go = resolve;
    });
    const slow = get();
    await begun;
    change([5]);
    views.drop('acme');
    state.hold = Promise.resolve();
    expect(idsOf(await get())).toEqual([agent(5)]);
    go();
    await slow;
    expect(idsOf(await get())).toEqual([agent(5)]);
  });

  test('of what is gone is none', async () => {
    const { clock, state, get } = rig(10);
    await get();
    state.gone = true;
    clock.advance(11);
    expect(await get()).toBeUndefined();
  });

  test('is read once for all who ask at once', async () => {
    const { state, get } = rig(1_000);
    await Promise.all([get(), get(), get()]);
    expect(state.reads).toBe(1);
  });
});
