// Durable messages in the store: what is accepted, who may acknowledge it, what an acknowledgement carries, and what becomes of the rest.

import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type AgentId, toUuid } from '../../runtime/contracts/ids.ts';
import type { Acknowledgement, InboxMessage, NewDurableMessage, Store } from '../../runtime/contracts/store.ts';
import { type StoreDb, sql } from '../../runtime/store/sql.ts';
import { ENGINES, newId, openNode, unique } from '../kit/store.ts';

describe.each(ENGINES)('durable messages on $name', (backend) => {
  let db: StoreDb;
  let close: () => Promise<void>;
  let store: Store;
  let other: Store;
  beforeAll(async () => {
    ({ db, close } = await backend.open());
    [store, other] = [await openNode(db), await openNode(db)];
  });
  afterAll(async () => {
    await store.leases.release();
    await other.leases.release();
    await close();
  });

  async function agent(on: Store = store): Promise<AgentId> {
    const id = newId('agent');
    const row = { id, tenant: 'acme', type: 'worker', defHash: 'hash-x', name: unique('agent'), config: {} };
    await on.agents.create({ ...row, capabilities: null, isolation: 'shared' });
    return id;
  }
  const letter = (to: AgentId, change: Partial<NewDurableMessage> = {}): NewDurableMessage => ({
    id: newId('message'),
    tenant: 'acme',
    to,
    lane: '',
    type: 'add',
    body: { n: 1 },
    protocol: 'direct',
    maxAttempts: 3,
    ...change,
  });
  const inbox = (to: AgentId, on: Store = store): Promise<readonly InboxMessage[]> =>
    on.messages.read({ to, after: 0, most: 100 });
  const acknowledging = (to: AgentId, seqs: readonly number[], change: Partial<Acknowledgement> = {}) => ({
    to,
    tenant: 'acme',
    epoch: 1,
    seqs,
    out: [],
    replies: [],
    ...change,
  });
  const stateOf = async (id: AgentId) => (await store.agents.get(id, 'acme'))?.snapshot;
  async function letters(to: string) {
    return (await store.deadLetters.list({ tenant: 'acme', to, limit: 100 })).items;
  }
  /** As the sweep and an adoption do. */
  async function give(id: AgentId, to: Store) {
    await db.query(
      sql(
        'test_give',
        'UPDATE agent SET owner_node = $2, epoch = epoch + 1 WHERE id = $1',
        toUuid(id),
        toUuid(to.node),
      ),
    );
  }

  test('what is accepted together is read in the order of the calls, with all that was said of it', async () => {
    const to = await agent();
    const from = await agent();
    const sent = Array.from({ length: 50 }, (_, n) =>
      letter(to, { body: { n }, from, lane: from, traceparent: 'trace', protocol: 'broadcast' }),
    );
    const outcomes = await Promise.all(sent.map((message) => store.messages.accept(message)));
    expect(outcomes).toEqual(sent.map(({ id }) => ({ outcome: 'accepted', id, owner: store.node })));
    const read = await inbox(to);
    expect(read.map(({ id }) => id)).toEqual(sent.map(({ id }) => id));
    expect(read[3]).toMatchObject({
      ...{ to, from, lane: from, type: 'add', body: { n: 3 }, protocol: 'broadcast', traceparent: 'trace' },
      ...{ attempts: 0, maxAttempts: 3, crashes: 0, waitMs: 0 },
    });
    expect(await store.messages.read({ to, after: read[9]?.seq ?? 0, most: 5 })).toEqual(read.slice(10, 15));
  });

  test('reads that are asked for at once are answered each for itself', async () => {
    const [a, b] = [await agent(), await agent()];
    await Promise.all([a, b, a].map((to) => store.messages.accept(letter(to))));
    const [one, two, none] = await Promise.all([inbox(a), inbox(b), inbox(newId('agent'))]);
    expect([one?.length, two?.length, none?.length]).toEqual([2, 1, 0]);
  });

  test('nobody who is not there gets mail: unknown, of another tenant, or removed', async () => {
    const gone = await agent();
    await store.agents.update(gone, 'acme', { desired: 'terminated' });
    const outcomes = await Promise.all([
      store.messages.accept(letter(newId('agent'))),
      store.messages.accept(letter(await agent(), { tenant: 'other' })),
      store.messages.accept(letter(gone)),
    ]);
    expect(outcomes).toEqual(outcomes.map(() => ({ outcome: 'not_found' })));
  });

  test('a body that no database can hold is refused alone', async () => {
    const to = await agent();
    const [bad, good] = await Promise.allSettled([
      store.messages.accept(letter(to, { body: '\u0000' })),
      store.messages.accept(letter(to, { body: 'fine' })),
    ]);
    expect(bad).toMatchObject({ status: 'rejected', reason: { code: 'invalid_input' } });
    expect(good).toMatchObject({ status: 'fulfilled', value: { outcome: 'accepted' } });
    expect((await inbox(to)).map(({ body }) => body)).toEqual(['fine']);
  });

  test('the same idempotency key is the same message, also after it was handled; another body is a mismatch', async () => {
    const to = await agent();
    const idempotency = { key: unique('key'), bodyHash: 'a' };
    const first = letter(to, { idempotency });
    const outcomes = await Promise.all([
      store.messages.accept(first),
      store.messages.accept(letter(to, { idempotency })),
      store.messages.accept(letter(to, { idempotency: { ...idempotency, bodyHash: 'b' } })),
    ]);
    expect(outcomes).toEqual([
      { outcome: 'accepted', id: first.id, owner: store.node },
      { outcome: 'duplicate', id: first.id },
      { outcome: 'mismatch' },
    ]);
    const seqs = (await inbox(to)).map(({ seq }) => seq);
    expect(seqs).toHaveLength(1);
    await store.messages.acknowledge(acknowledging(to, seqs));
    expect(await store.messages.accept(letter(to, { idempotency }))).toEqual({ outcome: 'duplicate', id: first.id });
    expect(await inbox(to)).toEqual([]);
  });

  test('an acknowledgement takes the messages, saves the state, sends and replies in one commit', async () => {
    const [to, next] = [await agent(), await agent(other)];
    await store.messages.accept(letter(to));
    await store.messages.accept(letter(to, { correlationId: unique('ask') }));
    await store.messages.accept(letter(to));
    const [one, two, three] = await inbox(to);
    const correlationId = two?.correlationId ?? '';
    const nowhere = newId('agent');
    const done = acknowledging(to, [one?.seq ?? 0, two?.seq ?? 0], {
      snapshot: { state: { count: 2 } },
      out: [
        letter(next, { from: to, lane: to, body: 'a' }),
        letter(nowhere, { body: 'b' }),
        letter(next, { body: 'c' }),
      ],
      replies: [{ correlationId, reply: { sum: 2 } }],
    });
    expect(await store.messages.acknowledge(done)).toEqual({
      outcome: 'committed',
      accepted: [
        { to: next, owner: other.node },
        { to: next, owner: other.node },
      ],
    });
    expect(await inbox(to)).toMatchObject([{ seq: three?.seq }]);
    expect(await stateOf(to)).toEqual({ state: { count: 2 } });
    expect((await inbox(next)).map(({ body }) => body)).toEqual(['a', 'c']);
    expect(await letters(nowhere)).toMatchObject([{ reason: 'actor_not_found', body: 'b' }]);
    expect(await store.messages.replies('acme', [correlationId])).toEqual(
      new Map([[correlationId, { state: 'replied', reply: { sum: 2 } }]]),
    );
  });

  test('acknowledgements of many receivers in one flush do not mix', async () => {
    const all = await Promise.all(Array.from({ length: 5 }, () => agent()));
    await Promise.all(all.map((to) => store.messages.accept(letter(to))));
    const reads = await Promise.all(all.map((to) => inbox(to)));
    const outcomes = await Promise.all(
      all.map((to, n) =>
        store.messages.acknowledge(
          acknowledging(to, reads[n]?.map(({ seq }) => seq) ?? [], {
            epoch: n === 2 ? 7 : 1,
            ...(n % 2 === 0 ? { snapshot: { state: n } } : {}),
          }),
        ),
      ),
    );
    expect(outcomes.map(({ outcome }) => outcome)).toEqual([
      'committed',
      'committed',
      'fenced',
      'committed',
      'committed',
    ]);
    expect(await Promise.all(all.map(async (to) => (await inbox(to)).length))).toEqual([0, 0, 1, 0, 0]);
    expect(await Promise.all(all.map(stateOf))).toEqual([{ state: 0 }, null, null, null, { state: 4 }]);
  });

  test.each([
    ['without a snapshot', {}],
    ['with a snapshot', { snapshot: { state: 'zombie' } }],
  ])('an owner of the past is refused and changes nothing, %s', async (_name, change) => {
    const [to, next] = [await agent(), await agent()];
    await store.messages.accept(letter(to));
    await give(to, other);
    const [message] = await inbox(to, other);
    const seqs = [message?.seq ?? 0];
    const zombie = acknowledging(to, seqs, { ...change, out: [letter(next)] });
    expect(await store.messages.acknowledge(zombie)).toEqual({ outcome: 'fenced' });
    expect(await store.messages.acknowledge({ ...zombie, epoch: 2 })).toEqual({ outcome: 'fenced' });
    const error = { code: 'boom', message: 'boom', retryable: true };
    const failed = {
      to,
      id: newId('message'),
      epoch: 1,
      seq: seqs[0] ?? 0,
      error,
      charge: true,
      next: { dead: 'attempts_exhausted' },
    } as const;
    expect(await store.messages.fail(failed)).toBe('fenced');
    expect(await store.messages.suspect(to, 1, seqs)).toBe('fenced');
    expect(await inbox(to, other)).toEqual([message]);
    expect(await inbox(next)).toEqual([]);
    expect(await stateOf(to)).toBeNull();
    expect(await other.messages.acknowledge(acknowledging(to, seqs, { epoch: 2 }))).toMatchObject({
      outcome: 'committed',
    });
  });

  test('a failure waits for its next attempt and is counted; suspicion is taken back by it', async () => {
    const to = await agent();
    const { id } = letter(to);
    await store.messages.accept(letter(to, { id }));
    const seq = (await inbox(to))[0]?.seq ?? 0;
    const error = { code: 'boom', message: 'boom', retryable: true };
    expect(await store.messages.suspect(to, 1, [seq])).toBe('committed');
    const [suspected] = await inbox(to);
    expect(suspected).toMatchObject({ attempts: 0, crashes: 1 });
    expect(suspected?.waitMs).toBeGreaterThan(1_000);
    await store.messages.fail({ to, id, epoch: 1, seq, error, charge: true, next: { delayMs: 60_000 } });
    const [later] = await inbox(to);
    expect(later).toMatchObject({ attempts: 1, crashes: 0 });
    expect(later?.waitMs).toBeGreaterThan(50_000);
    await store.messages.fail({ to, id, epoch: 1, seq, error, charge: false, next: { delayMs: 0 } });
    expect(await inbox(to)).toMatchObject([{ attempts: 1, waitMs: 0 }]);
  });

  test('what is given up is a dead letter, and a request has its error as reply', async () => {
    const to = await agent();
    const from = await agent();
    const correlationId = unique('ask');
    const message = letter(to, { correlationId, from, lane: from });
    await store.messages.accept(message);
    expect(await store.messages.replies('acme', [correlationId])).toEqual(
      new Map([[correlationId, { state: 'pending' }]]),
    );
    const error = { code: 'boom', message: 'it broke', retryable: true };
    const [{ seq } = { seq: 0 }] = await inbox(to);
    await store.messages.fail({
      to,
      id: message.id,
      epoch: 1,
      seq,
      error,
      charge: true,
      next: { dead: 'attempts_exhausted' },
    });
    expect(await inbox(to)).toEqual([]);
    expect(await letters(to)).toMatchObject([
      { reason: 'attempts_exhausted', to, from, type: 'add', body: { n: 1 }, messageId: message.id },
    ]);
    expect(await store.messages.replies('acme', [correlationId])).toEqual(
      new Map([[correlationId, { state: 'failed', error }]]),
    );
  });

  test('a correlation is one request until its reply is forgotten; other tenants have their own', async () => {
    const to = await agent();
    const correlationId = unique('ask');
    const first = letter(to, { correlationId });
    expect(await store.messages.accept(first)).toMatchObject({ outcome: 'accepted' });
    expect(await store.messages.accept(letter(to, { correlationId }))).toEqual({ outcome: 'duplicate', id: first.id });
    const [message] = await inbox(to);
    await store.messages.acknowledge(
      acknowledging(to, [message?.seq ?? 0], { replies: [{ correlationId, reply: 'first' }] }),
    );
    expect(await store.messages.accept(letter(to, { correlationId }))).toEqual({ outcome: 'duplicate', id: first.id });
    expect((await store.messages.replies('other', [correlationId])).size).toBe(0);
    await db.query(
      sql('test_old', `UPDATE message_reply SET kept_until = clock_timestamp() WHERE correlation = $1`, correlationId),
    );
    expect((await store.messages.replies('acme', [correlationId])).size).toBe(0);
    const again = letter(to, { correlationId });
    expect(await store.messages.accept(again)).toMatchObject({ outcome: 'accepted', id: again.id });
    expect(await store.messages.replies('acme', [correlationId])).toEqual(
      new Map([[correlationId, { state: 'pending' }]]),
    );
    await db.query(
      sql('test_old', `UPDATE message_reply SET kept_until = clock_timestamp() WHERE correlation = $1`, correlationId),
    );
    expect(await store.messages.forgetReplies()).toBeGreaterThan(0);
    expect(await store.messages.forgetReplies()).toBe(0);
  });

  test('waiting names the inboxes of this node page by page, and burying ends those of removed agents', async () => {
    await db.script('DELETE FROM inbox');
    const mine = await Promise.all([agent(), agent(), agent()]);
    const gone = await agent();
    await Promise.all([...mine, ...mine, gone, await agent(other)].map((to) => store.messages.accept(letter(to))));
    await store.agents.update(gone, 'acme', { desired: 'terminated' });
    const seen: AgentId[] = [];
    let orphaned = false;
    let pages = 0;
    for (let after: string | null = null; ; pages++) {
      const page = await store.messages.waiting(after, 2);
      seen.push(...page.inboxes.map(({ to }) => to));
      orphaned ||= page.orphaned;
      after = page.next;
      if (after === null) break;
    }
    expect(seen.sort()).toEqual([...mine].sort());
    expect([orphaned, pages]).toEqual([true, 2]);
    expect(await store.messages.bury()).toBe(1);
    expect(await store.messages.bury()).toBe(0);
    expect(await letters(gone)).toMatchObject([{ reason: 'actor_stopped' }]);
    expect(await store.messages.backlog()).toMatchObject({ messages: 7 });
  });

  test('the pulse tells of mail only while there is some', async () => {
    await db.script('DELETE FROM inbox');
    expect((await store.pulse()).letters).toBe(false);
    await store.messages.accept(letter(await agent()));
    expect((await store.pulse()).letters).toBe(true);
  });
});
