// The five protocols, channels, filters, letters and offers through REST, on the embedded database and on PostgreSQL.

import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { type ApiNode, apiNode } from '../kit/api-node.ts';
import { eventually } from '../kit/eventually.ts';
import { STORES } from '../kit/rest-node.ts';

const agentRoots = [fileURLToPath(new URL('../kit/actors/listener.ts', import.meta.url))];

interface Memory {
  readonly heard: readonly Record<string, unknown>[];
  readonly deleted: readonly { name: string; viewId: string }[];
  readonly offers: readonly (readonly string[])[];
  readonly undelivered: readonly { reason: string; type: string }[];
}

describe.each(STORES)('messages over REST on %s', (_name, database) => {
  let node: ApiNode;
  let made: string[] = [];
  beforeAll(async () => {
    const databaseUrl = await database();
    node = await apiNode({ agentRoots, ...(databaseUrl === undefined ? {} : { databaseUrl }) });
  });
  afterAll(() => node.stop());
  afterEach(async () => {
    await Promise.all(made.splice(0).map((id) => node.api('DELETE', `/${id}?mode=force`)));
    made = [];
  });

  const send = (message: Record<string, unknown>, key?: string) =>
    node.api('POST', '/messages/send', message, key === undefined ? {} : { key });
  async function agent(more: Record<string, unknown> = {}): Promise<string> {
    const { status, body } = await node.api('POST', '/create', { type: 'listener', ...more });
    expect(status, JSON.stringify(body)).toBe(201);
    const id = String(body.id);
    made.push(id);
    await eventually(async () => (await node.api('GET', `/${id}`)).body.state === 'idle');
    return id;
  }
  const agents = (count: number, more: Record<string, unknown> = {}) =>
    Promise.all(Array.from({ length: count }, () => agent(more)));
  async function memory(id: string): Promise<Memory> {
    const { body } = await send({ protocol: 'request-response', to: id, type: 'memory' });
    return body.reply as Memory;
  }
  /** Asks the agent to use its own context. */
  const does = (id: string, what: string, ...args: unknown[]) =>
    send({ protocol: 'request-response', to: id, type: 'do', body: { what, args } });
  const bodies = async (id: string) => (await memory(id)).heard.map(({ body }) => body);
  const statistics = async () =>
    (await node.api('GET', '/messages/statistics')).body as unknown as {
      filtered: { refused: number; leftOut: number };
      lateReplies: number;
    };

  test('direct: only the addressee gets it, and an unknown one is an error', async () => {
    const [a, b] = (await agents(2)) as [string, string];
    expect(await send({ protocol: 'direct', to: a, type: 'news', body: 1 })).toMatchObject({
      status: 202,
      body: { protocol: 'direct', outcome: 'delivered' },
    });
    expect(await bodies(a)).toEqual([1]);
    expect(await bodies(b)).toEqual([]);
    expect(await send({ protocol: 'direct', to: 'nobody', type: 'news' })).toMatchObject({
      status: 404,
      body: { code: 'actor_not_found' },
    });
  });

  test('broadcast: a hundred members get it exactly once each, and others nothing', async () => {
    const ids = await agents(100);
    const stranger = await agent();
    const created = await node.api('POST', '/channels/create', { name: 'all', members: ids.slice(0, 1) });
    expect(created).toMatchObject({ status: 201, body: { kind: 'channel', members: 1 } });
    expect(await send({ protocol: 'broadcast', channel: 'all', type: 'news', body: 'one' })).toMatchObject({
      body: { attempted: 1, viewId: created.body.viewId },
    });
    const joined = await node.api('POST', '/channels/all/join', { agents: ids });
    expect(joined.body).toMatchObject({ members: 100 });
    const sent = await send({ protocol: 'broadcast', channel: 'all', type: 'news', body: 'many' });
    expect(sent).toMatchObject({ status: 202, body: { attempted: 100, filtered: 0, viewId: joined.body.viewId } });
    const heard = await Promise.all(ids.map(bodies));
    expect(heard.map((each) => each.filter((body) => body === 'many').length)).toEqual(ids.map(() => 1));
    expect(await memory(stranger)).toMatchObject({ heard: [] });
    const first = await memory(ids[1] ?? '');
    expect(first.heard).toEqual([{ type: 'news', body: 'many', protocol: 'broadcast', channel: 'all' }]);
    await node.api('DELETE', '/channels/all');
  });

  test('multicast: exactly the agents for which the whole selector holds', async () => {
    const red = await agents(2, { labels: { team: 'red', gpu: 'true' } });
    const blue = await agents(2, { labels: { team: 'blue', gpu: 'true' } });
    const probe = await agent({ type: 'probe', labels: { team: 'red' } });
    const many = (select: unknown, body: unknown) => send({ protocol: 'multicast', select, type: 'news', body });
    expect((await many({ label: { gpu: 'true' } }, 'gpu')).body).toMatchObject({ attempted: 4 });
    expect((await many({ label: { team: 'red' }, type: 'listener' }, 'red')).body).toMatchObject({ attempted: 2 });
    expect((await many({ ids: [blue[0]] }, 'one')).body).toMatchObject({ attempted: 1 });
    await node.api('POST', '/channels/create', { name: 'team', kind: 'group', members: [red[0], blue[0]] });
    expect((await many({ group: 'team' }, 'group')).body).toMatchObject({ attempted: 2 });
    expect((await many({ group: 'team', label: { team: 'blue' } }, 'narrow')).body).toMatchObject({ attempted: 1 });
    expect(await Promise.all([...red, ...blue].map(bodies))).toEqual([
      ['gpu', 'red', 'group'],
      ['gpu', 'red'],
      ['gpu', 'one', 'group', 'narrow'],
      ['gpu'],
    ]);
    const counted = await send({ protocol: 'multicast', select: { capability: 'probe.run' }, type: 'count', body: 5 });
    expect(counted.body).toMatchObject({ attempted: 1 });
    const { body } = await send({ protocol: 'request-response', to: probe, type: 'counted' });
    expect(body.reply).toMatchObject({ counted: 1, sum: 5 });
    expect((await many({ group: 'nothing' }, 1)).status).toBe(404);
    expect(await send({ protocol: 'broadcast', channel: 'team', type: 'news' })).toMatchObject({ status: 404 });
    await node.api('DELETE', '/channels/team');
  });

  test('publish-subscribe: wildcards, types and conditions decide, and nobody gets it twice', async () => {
    const [one, deep, typed, rich] = (await agents(4)) as [string, string, string, string];
    const subscribe = async (body: unknown) => {
      const answer = await node.api('POST', '/messages/subscribe', body);
      expect(answer.status, JSON.stringify(answer.body)).toBe(200);
    };
    await subscribe({ agent: one, topic: 'orders.*' });
    await subscribe({ agent: one, topic: 'orders.new' });
    await subscribe({ agent: deep, topic: 'orders.**' });
    await subscribe({ agent: typed, type: 'news' });
    await subscribe({ agent: rich, topic: 'orders.*', where: { path: 'body.total', greaterThan: 100 } });
    const publish = (topic: string, body: unknown, type = 'news') =>
      send({ protocol: 'publish-subscribe', topic, type, body });
    expect((await publish('orders.new', { total: 1 })).body).toMatchObject({ attempted: 3, filtered: 1 });
    expect((await publish('orders.new.eu', { total: 2 })).body).toMatchObject({ attempted: 2, filtered: 0 });
    expect((await publish('orders.new', { total: 101 })).body).toMatchObject({ attempted: 4, filtered: 0 });
    expect((await publish('other', { total: 3 })).body).toMatchObject({ attempted: 1 });
    expect((await publish('orders', { total: 4 })).body).toMatchObject({ attempted: 1 });
    const totals = async (id: string) => (await bodies(id)).map((body) => (body as { total: number }).total);
    expect(await totals(one)).toEqual([1, 101]);
    expect(await totals(deep)).toEqual([1, 2, 101]);
    expect(await totals(typed)).toEqual([1, 2, 101, 3, 4]);
    expect(await totals(rich)).toEqual([101]);
    const listed = await node.api('GET', `/messages/subscriptions?agent=${one}`);
    expect(listed.body.items).toHaveLength(2);
    const end = (body: unknown) => node.api('POST', '/messages/unsubscribe', body);
    expect((await end({ agent: one, topic: 'orders.*' })).body).toEqual({ ended: true });
    expect((await end({ agent: one, topic: 'orders.*' })).body).toEqual({ ended: false });
    expect((await publish('orders.old', { total: 5 })).body).toMatchObject({ attempted: 2 });
  });

  test('request-response: the same correlation gets the first reply, and asks once', async () => {
    const id = await agent({ type: 'probe' });
    const ask = (more: Record<string, unknown> = {}) =>
      send({ protocol: 'request-response', to: id, type: 'slow', body: { ms: 300, answer: 7 }, ...more });
    const late = await ask({ correlationId: 'c-1', timeoutMs: 50 });
    expect(late).toMatchObject({ status: 504, body: { code: 'ask_timeout' } });
    const again = await ask({ correlationId: 'c-1', timeoutMs: 5_000 });
    expect(again).toMatchObject({ status: 200, body: { reply: 7, replayed: true } });
    expect(await ask({ correlationId: 'c-1', body: { ms: 1 } })).toMatchObject({ status: 422 });
    const before = (await statistics()).lateReplies;
    expect((await ask({ timeoutMs: 30 })).status).toBe(504);
    await eventually(async () => (await statistics()).lateReplies > before);
  });

  test('what is durable is stored, for each member of a view and for a question, and is one message by its key', async () => {
    const [a, b] = (await agents(2)) as [string, string];
    await node.api('POST', '/channels/create', { name: 'kept', members: [a, b] });
    const direct = { protocol: 'direct', to: a, type: 'news', body: 1, durable: true };
    const first = await send(direct, 'durable-1');
    expect(first).toMatchObject({ status: 202, body: { outcome: 'stored', duplicate: false } });
    expect(await send(direct, 'durable-1')).toMatchObject({
      body: { messageId: first.body.messageId, duplicate: true },
    });
    const many = { protocol: 'broadcast', channel: 'kept', type: 'news', body: 2, durable: true };
    for (const _again of [1, 2]) expect((await send(many, 'durable-2')).body).toMatchObject({ attempted: 2 });
    const heard = await eventually(async () => {
      const all = [await bodies(a), await bodies(b)];
      return all.flat().length === 3 && all;
    });
    expect(heard).toEqual([[1, 2], [2]]);
    const question = { protocol: 'request-response', to: b, type: 'forget', durable: true, correlationId: 'durable-3' };
    expect(await send(question)).toMatchObject({ status: 200, body: { reply: true, replayed: false } });
    expect(await send(question)).toMatchObject({ status: 200, body: { reply: true, replayed: true } });
    await node.api('DELETE', '/channels/kept');
  });

  test('an idempotency key makes a message one message', async () => {
    const id = await agent();
    const message = { protocol: 'direct', to: id, type: 'news', body: 1 };
    const first = await send(message, 'key-1');
    expect(await send(message, 'key-1')).toEqual(first);
    expect(await send({ ...message, body: 2 }, 'key-1')).toMatchObject({ status: 422 });
    expect(await bodies(id)).toEqual([1]);
  });

  test('a body that does not fit is refused to its sender and never reaches the handler', async () => {
    const [id, other] = (await agents(2)) as [string, string];
    const order = (total: unknown) => send({ protocol: 'direct', to: id, type: 'order', body: { total } });
    expect(await order('much')).toMatchObject({ status: 422, body: { code: 'filtered' } });
    expect(await send({ protocol: 'direct', to: id, type: 'news', body: { secret: true } })).toMatchObject({
      status: 422,
      body: { code: 'filtered' },
    });
    expect((await order(3)).status).toBe(202);
    expect(await bodies(id)).toEqual([{ total: 3 }]);
    const told = await does(other, 'tellConfirmed', id, 'order', { total: 'much' });
    expect(told.body.reply).toEqual({ outcome: 'refused', reason: 'filtered' });
    await does(other, 'tell', id, 'order', { total: 'much' });
    const heard = await eventually(async () => {
      const { undelivered } = await memory(other);
      return undelivered.length > 0 && undelivered;
    });
    expect(heard).toEqual([{ reason: 'filtered', type: 'order' }]);
    expect(await bodies(id)).toEqual([{ total: 3 }]);
  });

  test('the filter of a channel refuses to the sender, that of a member drops, and both count', async () => {
    const [plain, picky] = (await agents(2)) as [string, string];
    const schema = { type: 'object', properties: { n: { type: 'integer' } }, required: ['n'] };
    const where = { path: 'type', equals: 'news' };
    await node.api('POST', '/channels/create', { name: 'strict', filter: { schema, where }, members: [plain] });
    await node.api('POST', '/channels/strict/join', { agents: [picky], where: { path: 'body.n', greaterThan: 5 } });
    const say = (body: unknown, type = 'news') => send({ protocol: 'broadcast', channel: 'strict', type, body });
    const before = await statistics();
    expect(await say({ n: 'x' })).toMatchObject({
      status: 422,
      body: { code: 'filtered', errors: [{ path: 'body.n' }] },
    });
    expect(await say({ n: 1 }, 'order')).toMatchObject({ status: 422, body: { code: 'filtered' } });
    expect((await say({ n: 1 })).body).toMatchObject({ attempted: 1, filtered: 1 });
    expect((await say({ n: 6 })).body).toMatchObject({ attempted: 2, filtered: 0 });
    expect([await bodies(plain), await bodies(picky)]).toEqual([[{ n: 1 }, { n: 6 }], [{ n: 6 }]]);
    const after = await statistics();
    expect(after.filtered.refused - before.filtered.refused).toBe(2);
    expect(after.filtered.leftOut - before.filtered.leftOut).toBe(1);
    const { body } = await node.api('GET', '/dead-letters?reason=filtered&to=channel%20strict');
    expect(body.items).toHaveLength(2);
    await node.api('DELETE', '/channels/strict');
  });

  test('members come and go at run time, and are told when the channel is deleted', async () => {
    const [a, b, c] = (await agents(3)) as [string, string, string];
    const created = await node.api('POST', '/channels/create', { name: 'room', members: [a, b] });
    expect((await node.api('POST', '/channels/create', { name: 'room' })).status).toBe(409);
    await does(c, 'join', 'room');
    await does(b, 'leave', 'room');
    const listed = (await node.api('GET', '/channels/room/members')).body.items as { agentId: string }[];
    expect(listed.map(({ agentId }) => agentId)).toEqual([a, c].sort());
    expect((await node.api('GET', `/channels/list?member=${c}`)).body.items).toHaveLength(1);
    expect((await node.api('GET', '/channels/room', undefined, { tenant: 'other' })).status).toBe(404);
    await node.api('DELETE', `/${a}?mode=force`);
    expect((await node.api('GET', '/channels/room')).body).toMatchObject({ members: 1 });
    const removed = await node.api('DELETE', `/channels/${created.body.id}`);
    expect(removed).toMatchObject({ status: 200, body: { attempted: 1 } });
    const told = await eventually(async () => {
      const { deleted } = await memory(c);
      return deleted.length > 0 && deleted;
    });
    expect(told).toEqual([{ name: 'room', viewId: removed.body.viewId }]);
    expect(await memory(b)).toMatchObject({ deleted: [] });
    expect((await send({ protocol: 'broadcast', channel: 'room', type: 'news' })).status).toBe(404);
  });

  test('agents speak to many by themselves, and a loop of messages to many ends', async () => {
    const [a, b] = (await agents(2)) as [string, string];
    await node.api('POST', '/channels/create', { name: 'loop', members: [a] });
    await does(b, 'subscribe', { topic: 'x.*', type: 'news' });
    expect((await does(a, 'publish', 'x.y', 'news', 1)).body.reply).toMatchObject({ attempted: 1 });
    expect((await does(a, 'broadcast', 'loop', 'news', 2)).body.reply).toMatchObject({ attempted: 1 });
    expect((await does(a, 'multicast', { ids: [b] }, 'news', 3)).body.reply).toMatchObject({ attempted: 1 });
    expect((await memory(b)).heard).toEqual([
      { type: 'news', body: 1, protocol: 'publish-subscribe', topic: 'x.y', from: a },
      { type: 'news', body: 3, protocol: 'multicast', from: a },
    ]);
    await send({ protocol: 'broadcast', channel: 'loop', type: 'echo' });
    const ended = await eventually(async () => {
      const { body } = await node.api('GET', '/dead-letters?reason=hop_limit');
      return (body.items as unknown[]).length > 0 && body.items;
    });
    expect(ended).toMatchObject([{ type: 'echo', from: a }]);
    expect((await memory(a)).heard.filter(({ type }) => type === 'echo').map(({ hops }) => hops)).toEqual(
      Array.from({ length: 17 }, (_, hops) => hops),
    );
    await node.api('DELETE', '/channels/loop');
  });

  test('a letter is read by its id and sent again, three times at most', async () => {
    const id = await agent();
    expect((await send({ protocol: 'direct', to: id, type: 'nothing-knows', body: { kept: true } })).status).toBe(202);
    const [letter] = await eventually(async () => {
      const { body } = await node.api('GET', `/dead-letters?to=${id}`);
      const items = body.items as { id: string }[];
      return items.length > 0 && items;
    });
    const path = `/dead-letters/${letter?.id}`;
    expect((await node.api('GET', path)).body).toMatchObject({
      reason: 'no_handler',
      body: { kept: true },
      replays: 0,
    });
    expect((await node.api('GET', path, undefined, { tenant: 'other' })).status).toBe(404);
    for (const replays of [1, 2, 3]) {
      expect(await node.api('POST', `${path}/replay`)).toMatchObject({
        status: 202,
        body: { replays, result: { outcome: 'delivered' } },
      });
    }
    expect(await node.api('POST', `${path}/replay`)).toMatchObject({ status: 409, body: { code: 'replay_limit' } });
  });

  test('who offers a capability is told, and every change of it', async () => {
    const follower = await agent();
    await does(follower, 'follow', 'probe.run');
    const offers = async () => (await node.api('GET', '/capabilities/probe.run')).body.agents;
    expect(await offers()).toEqual([]);
    const probe = await agent({ type: 'probe' });
    await eventually(async () => (await memory(follower)).offers.length > 1);
    expect(await offers()).toEqual([probe]);
    await node.api('POST', `/${probe}/pause`);
    await eventually(async () => (await memory(follower)).offers.length > 2);
    await node.api('POST', `/${probe}/resume`);
    await eventually(async () => (await memory(follower)).offers.length > 3);
    expect((await memory(follower)).offers).toEqual([[], [probe], [], [probe]]);
  });

  test.each([
    ['protocol', { protocol: 'carrier-pigeon', type: 'x' }],
    ['topic', { protocol: 'publish-subscribe', topic: 'a.*', type: 'x' }],
    ['select', { protocol: 'multicast', select: {}, type: 'x' }],
    ['select.label', { protocol: 'multicast', select: { label: {} }, type: 'x' }],
    ['timeoutMs', { protocol: 'request-response', to: 'a', type: 'x', timeoutMs: 0 }],
    ['type', { protocol: 'direct', to: 'a', type: '' }],
    ['type', { protocol: 'direct', to: 'a', type: 'channel.deleted' }],
    ['surprise', { protocol: 'direct', to: 'a', type: 'x', surprise: 1 }],
  ])('what is wrong with a message is told by its field: %s', async (path, message) => {
    const { status, body } = await send(message);
    expect(status).toBe(422);
    expect(body).toMatchObject({
      code: 'invalid_input',
      errors: expect.arrayContaining([expect.objectContaining({ path })]),
    });
  });

  test.each([
    ['filter.schema', { name: 'n', filter: { schema: { type: 'nonsense' } } }],
    ['filter.where.path', { name: 'n', filter: { where: { path: 'secret', equals: 1 } } }],
    ['name', { name: 'not a name' }],
    ['kind', { name: 'n', kind: 'club' }],
    ['members', { name: 'n', members: [] }],
  ])('what is wrong with a channel is told by its field: %s', async (path, channel) => {
    const { status, body } = await node.api('POST', '/channels/create', channel);
    expect(status, JSON.stringify(body)).toBe(422);
    expect(body).toMatchObject({ errors: expect.arrayContaining([expect.objectContaining({ path })]) });
  });

  test('a body that is too large is refused and is a letter', async () => {
    const id = await agent();
    const body = 'x'.repeat(300_000);
    expect(await send({ protocol: 'direct', to: id, type: 'news', body })).toMatchObject({
      status: 413,
      body: { code: 'payload_too_large' },
    });
    expect(await send({ protocol: 'publish-subscribe', topic: 't', type: 'news', body })).toMatchObject({
      status: 413,
    });
    expect(await bodies(id)).toEqual([]);
  });
});

test('channels, members and subscriptions are there after a restart', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'troupe-channels-'));
  const first = await apiNode({ agentRoots, dataDir: folder });
  const { body: made } = await first.api('POST', '/create', { type: 'listener', name: 'kept' });
  const { body: channel } = await first.api('POST', '/channels/create', { name: 'kept-channel', members: ['kept'] });
  await first.api('POST', '/messages/subscribe', { agent: 'kept', topic: 'kept.**' });
  await first.stop();
  const second = await apiNode({ agentRoots, dataDir: folder });
  try {
    expect((await second.api('GET', '/channels/kept-channel')).body).toEqual(channel);
    await eventually(async () => (await second.api('GET', '/kept')).body.state === 'idle');
    const send = async (message: unknown) => (await second.api('POST', '/messages/send', message)).body;
    expect(await send({ protocol: 'broadcast', channel: 'kept-channel', type: 'news', body: 1 })).toMatchObject({
      attempted: 1,
      viewId: channel.viewId,
    });
    expect(await send({ protocol: 'publish-subscribe', topic: 'kept.a', type: 'news', body: 2 })).toMatchObject({
      attempted: 1,
    });
    const { reply } = await send({ protocol: 'request-response', to: made.id, type: 'memory' });
    expect((reply as Memory).heard.map(({ body }) => body)).toEqual([1, 2]);
  } finally {
    await second.stop();
    rmSync(folder, { recursive: true, force: true });
  }
});
