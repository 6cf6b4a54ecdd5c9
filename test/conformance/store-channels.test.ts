// Channels, groups and subscriptions on every database: members, views that grow with every change, and agents that leave when they are removed.

import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { AgentId } from '../../runtime/contracts/ids.ts';
import type { NewAgentRow, Store } from '../../runtime/contracts/store.ts';
import type { StoreDb } from '../../runtime/store/sql.ts';
import { ENGINES, newId, openNode, unique } from '../kit/store.ts';

describe.each(ENGINES)('channels on $name', (backend) => {
  let db: StoreDb;
  let close: () => Promise<void>;
  let store: Store;
  beforeAll(async () => {
    ({ db, close } = await backend.open());
    store = await openNode(db);
  });
  afterAll(async () => {
    await store.leases.release();
    await close();
  });

  async function agent(change: Partial<NewAgentRow> = {}): Promise<AgentId> {
    const id = newId('agent');
    const made = await store.agents.create({
      id,
      tenant: 'acme',
      type: 'worker',
      defHash: 'hash-1',
      name: unique('agent'),
      config: {},
      capabilities: null,
      isolation: 'shared',
      ...change,
    });
    expect(made.outcome).toBe('created');
    return id;
  }
  const agents = (count: number) => Promise.all(Array.from({ length: count }, () => agent()));
  const channel = async (change: { kind?: 'channel' | 'group' | 'topics'; tenant?: string } = {}) => {
    const made = { id: newId('channel'), tenant: 'acme', kind: 'channel' as const, name: unique('news'), ...change };
    return (await store.channels.create(made)).channel;
  };
  const membersOf = async (id: Awaited<ReturnType<typeof channel>>['id']) => {
    const view = await store.channels.members(id);
    return { view: view?.view, ids: view?.members.map(({ agentId }) => agentId) };
  };
  const asMembers = (ids: readonly AgentId[]) => ids.map((agentId) => ({ agentId }));

  test('a name is taken once in a tenant, for channels and groups together', async () => {
    const first = await channel();
    const again = { id: newId('channel'), tenant: 'acme', kind: 'group' as const, name: first.name };
    expect(await store.channels.create(again)).toMatchObject({ outcome: 'exists', channel: { id: first.id } });
    expect(await store.channels.create({ ...again, id: newId('channel'), tenant: 'other' })).toMatchObject({
      outcome: 'created',
    });
    expect(await store.channels.create({ ...again, id: newId('channel'), kind: 'topics' })).toMatchObject({
      outcome: 'created',
    });
    expect(await store.channels.get(first.name, 'acme')).toMatchObject({ id: first.id, kind: 'channel' });
    expect(await store.channels.get(first.name, 'acme', 'topics')).toMatchObject({ kind: 'topics' });
    expect(await store.channels.get(first.id, 'other')).toBeNull();
    expect(await store.channels.get(first.name, 'acme', 'group')).toBeNull();
  });

  test('every join and leave makes a new view, and what changes nothing makes none', async () => {
    const { id, view } = await channel();
    const [a, b] = (await agents(2)) as [AgentId, AgentId];
    expect(await store.channels.join(id, asMembers([a, b]))).toMatchObject({ view: view + 1, members: 2 });
    expect(await store.channels.join(id, asMembers([a]))).toMatchObject({ view: view + 1, members: 2 });
    const where = { path: 'body.n', greaterThan: 1 };
    expect(await store.channels.join(id, [{ agentId: a, where }])).toMatchObject({ view: view + 2, members: 2 });
    expect(await store.channels.leave(id, [{ agentId: b }])).toMatchObject({
      channel: { view: view + 3, members: 1 },
      left: 1,
    });
    expect(await store.channels.leave(id, [{ agentId: b }])).toMatchObject({ channel: { view: view + 3 }, left: 0 });
    expect(await store.channels.members(id)).toMatchObject({ view: view + 3, members: [{ agentId: a, where }] });
  });

  test('nobody joins who is no agent of the tenant', async () => {
    const { id } = await channel();
    const stranger = await agent({ tenant: 'other' });
    expect(await store.channels.join(id, asMembers([stranger, newId('agent')]))).toMatchObject({ members: 0, view: 1 });
    expect(await membersOf(id)).toEqual({ view: 1, ids: [] });
  });

  test('joins at the same time are all counted', async () => {
    const { id } = await channel();
    const ids = await agents(20);
    await Promise.all(ids.map((agentId) => store.channels.join(id, [{ agentId }])));
    expect(await membersOf(id)).toEqual({ view: 21, ids: [...ids].sort() });
  });

  test('an agent that is removed leaves everything it was in, in one commit', async () => {
    const [first, second] = [await channel(), await channel()];
    const [a, b] = (await agents(2)) as [AgentId, AgentId];
    for (const { id } of [first, second]) await store.channels.join(id, asMembers([a, b]));
    await store.agents.update(a, 'acme', { desired: 'terminated', state: 'terminated' });
    for (const { id } of [first, second]) expect(await membersOf(id)).toEqual({ view: 3, ids: [b] });
    expect(await store.channels.list({ tenant: 'acme', member: a, limit: 10 })).toMatchObject({ items: [] });
    expect((await store.channels.list({ tenant: 'acme', member: b, limit: 10 })).items.map(({ id }) => id)).toEqual(
      [first.id, second.id].sort().reverse(),
    );
  });

  test('a subscription is one of an agent, a topic and a type', async () => {
    const { id } = await channel({ kind: 'topics', tenant: 'acme' });
    const a = await agent();
    await store.channels.join(id, [
      { agentId: a, topic: 'orders.*' },
      { agentId: a, topic: 'orders.**', type: 'created' },
    ]);
    expect((await store.channels.members(id))?.members.map(({ topic, type }) => [topic, type])).toEqual(
      expect.arrayContaining([
        ['orders.*', ''],
        ['orders.**', 'created'],
      ]),
    );
    expect(await store.channels.leave(id, [{ agentId: a, topic: 'orders.**' }])).toMatchObject({ left: 0 });
    expect(await store.channels.leave(id, [{ agentId: a, topic: 'orders.*' }])).toMatchObject({ left: 1 });
  });

  test('what is removed tells who was in it, and is gone', async () => {
    const { id, name } = await channel();
    const ids = await agents(3);
    await store.channels.join(id, asMembers(ids));
    expect(await store.channels.remove(id)).toEqual({ view: 2, members: [...ids].sort() });
    expect(await store.channels.remove(id)).toBeNull();
    expect(await store.channels.members(id)).toBeNull();
    expect(await store.channels.join(id, asMembers(ids))).toBeNull();
    expect(await store.channels.get(name, 'acme')).toBeNull();
  });

  test('members come in pages', async () => {
    const { id } = await channel();
    const ids = await agents(5);
    await store.channels.join(id, asMembers(ids));
    const first = await store.channels.memberPage(id, 3);
    const rest = await store.channels.memberPage(id, 3, first.nextCursor ?? undefined);
    expect([...first.items, ...rest.items].map(({ agentId }) => agentId)).toEqual([...ids].sort());
    expect(rest.nextCursor).toBeNull();
  });

  test('a selector reaches exactly the agents for which all of it holds', async () => {
    const tenant = unique('tenant');
    const red = await agent({ tenant, labels: { team: 'red', gpu: 'true' } });
    const blue = await agent({ tenant, labels: { team: 'blue', gpu: 'true' }, capabilities: [] });
    const other = await agent({ tenant, type: 'other' });
    const gone = await agent({ tenant, labels: { gpu: 'true' } });
    await store.agents.update(gone, tenant, { desired: 'terminated', state: 'terminated' });
    const selected = (selector: Parameters<Store['channels']['select']>[1]) =>
      store.channels.select(tenant, selector, 10);
    expect(await selected({ label: { gpu: 'true' } })).toEqual([red, blue].sort());
    expect(await selected({ label: { gpu: 'true', team: 'red' } })).toEqual([red]);
    expect(await selected({ type: 'other' })).toEqual([other]);
    expect(await selected({ capability: 'text.upper' })).toEqual([red]);
    expect(await selected({ capability: 'text.upper@2' })).toEqual([red]);
    expect(await selected({ capability: 'text.upper@1' })).toEqual([]);
    expect(await selected({ ids: [red, other], type: 'worker' })).toEqual([red]);
    expect(await store.channels.select('acme', { ids: [red] }, 10)).toEqual([]);
    expect(await store.channels.offering(tenant, 'text.upper', null)).toEqual([red]);
  });

  test('labels are replaced by an update, and shown', async () => {
    const id = await agent({ labels: { a: '1' } });
    expect(await store.agents.get(id, 'acme')).toMatchObject({ labels: { a: '1' } });
    await store.agents.update(id, 'acme', { labels: { b: '2' } });
    expect((await store.agents.get(id, 'acme'))?.labels).toEqual({ b: '2' });
  });

  test('agents are found by id and by name, in the order asked', async () => {
    const [a, b] = [await agent({ name: unique('ann') }), await agent()];
    const name = (await store.agents.get(a, 'acme'))?.name ?? '';
    expect(await store.channels.agentIds([b, name, 'nobody', newId('agent')], 'acme')).toEqual([b, a, null, null]);
    expect(await store.channels.agentIds([b], 'other')).toEqual([null]);
  });

  test('a letter is taken for a replay as often as allowed, and no more', async () => {
    const letter = { reason: 'mailbox_full' as const, to: newId('agent'), type: 'x', body: 1, messageId: 'm', atMs: 1 };
    const tenant = unique('tenant');
    await store.deadLetters.add(tenant, [letter]);
    const [row] = (await store.deadLetters.list({ tenant, limit: 1 })).items;
    if (!row) throw new Error('no letter');
    expect(await store.deadLetters.get(row.id, tenant)).toMatchObject(letter);
    expect(await store.deadLetters.get(row.id, 'other')).toBeNull();
    expect(await store.deadLetters.takeReplay(row.id, 'other', 2)).toBeNull();
    const taken = await Promise.all([1, 2, 3].map(() => store.deadLetters.takeReplay(row.id, tenant, 2)));
    expect(taken.filter(Boolean)).toHaveLength(2);
    expect(await store.deadLetters.get(row.id, tenant)).toMatchObject({ replays: 2 });
  });
});
