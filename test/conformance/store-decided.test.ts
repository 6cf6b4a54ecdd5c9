// Decisions in the commit of what they are about: a run with its first one, the end of a step with the next one. Both stand or neither.

import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { CoordinationEvent } from '../../runtime/contracts/coordination.ts';
import { toUuid, type WorkflowId } from '../../runtime/contracts/ids.ts';
import type { Advance, NewTask, Store } from '../../runtime/contracts/store.ts';
import type { ClaimedTask } from '../../runtime/contracts/task.ts';
import type { WorkflowSpec } from '../../runtime/contracts/workflow.ts';
import { type StoreDb, sql } from '../../runtime/store/sql.ts';
import { asStored, stepEnd } from '../../runtime/workflows/step-end.ts';
import { ENGINES, newId, newTask, openNode, settling, unique } from '../kit/store.ts';

const spec = (name: string): WorkflowSpec =>
  ({ name, pattern: 'sequential', tasks: [], options: {}, seed: 7 }) as unknown as WorkflowSpec;

describe.each(ENGINES)('decisions on $name', (backend) => {
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

  const advance = (workflowId: WorkflowId, version: number, change: Partial<Advance> = {}): Advance => ({
    workflowId,
    tenant: 'acme',
    version,
    consumed: [],
    journal: [],
    schedule: [],
    cancel: [],
    timers: [],
    decisions: [],
    events: [],
    progress: { done: 0, total: 2 },
    ...change,
  });
  const stepOf = (id: WorkflowId, step: string): NewTask =>
    newTask({ queue: unique('q'), workflow: { id, step, round: 0 } });
  const newRun = (key?: string) => ({
    id: newId('workflow'),
    tenant: 'acme',
    spec: spec('decided'),
    defHash: 'hash',
    total: 2,
    start: true,
    ...(key === undefined ? {} : { idempotency: { key, bodyHash: 'body' } }),
  });
  const unread = (id: WorkflowId) => store.workflows.inbox([id], 10);
  const started = { type: 'started', atMs: 5, seed: 7 } as const;

  /** A run whose first step runs here. */
  async function running(): Promise<{ id: WorkflowId; version: number; claim: ClaimedTask; task: NewTask }> {
    const run = newRun();
    const task = stepOf(run.id, 'a');
    const first = advance(run.id, 1, { journal: [started], schedule: [task], claim: [true] });
    const { created, advanced } = await store.workflows.createDecided(run, first);
    const [claim] = advanced.outcome === 'committed' ? advanced.claimed : [];
    if (created.outcome !== 'created' || advanced.outcome !== 'committed' || !claim) return expect.unreachable();
    return { id: run.id, version: advanced.version, claim, task };
  }
  const placed = { rule: 'longest_waiting', free: 3, next: [newId('agent')] } as const;
  const ended = (claim: ClaimedTask) => {
    const settle = settling(claim, undefined, { placed });
    const mail = stepEnd(settle, { task: claim, endedAtMs: claim.claimedAtMs + 3 });
    return mail ? { settle, mail } : expect.unreachable();
  };

  test('a run comes into being with its first decision: a step runs, no mail waits', async () => {
    const { id, version, claim } = await running();
    expect(version).toBe(2);
    expect(claim).toMatchObject({ workflowId: id, stepKey: 'a', round: 0, fence: 1 });
    expect(claim.claimedAtMs).toBeGreaterThan(Date.now() - 600_000);
    expect(await unread(id)).toEqual([]);
    expect(await store.workflows.journal(id)).toEqual([started]);
    expect(await store.workflows.get(id, 'acme')).toMatchObject({ status: 'running', owner: store.node, version: 2 });
  });

  test('of two runs with one key the second is not made, and nothing of its decision is', async () => {
    const key = unique('key');
    const [one, two] = [newRun(key), newRun(key)];
    const first = (run: typeof one) => advance(run.id, 1, { journal: [started], schedule: [stepOf(run.id, 'a')] });
    const made = await store.workflows.createDecided(one, first(one));
    const again = await store.workflows.createDecided(two, first(two));
    expect(made.created.outcome).toBe('created');
    expect(again).toMatchObject({
      created: { outcome: 'duplicate', row: { id: one.id } },
      advanced: { outcome: 'conflict' },
    });
    expect(await store.tasks.byWorkflow(two.id)).toEqual([]);
  });

  test('the end of a step and what follows are one commit, without mail', async () => {
    const { id, version, claim } = await running();
    const { settle, mail } = ended(claim);
    const next = stepOf(id, 'b');
    const decision = advance(id, version, { journal: [mail.event], schedule: [next], claim: [true] });
    const {
      settled: [settled],
      advanced,
    } = await store.workflows.settleDecided([{ settle, mail }], decision);
    expect(settled).toMatchObject({ outcome: 'committed', state: 'completed' });
    expect(settled).not.toHaveProperty('mail');
    expect(advanced).toMatchObject({ outcome: 'committed', claimed: [{ stepKey: 'b' }] });
    expect(await unread(id)).toEqual([]);
    expect(await store.workflows.journal(id)).toEqual([started, mail.event]);
    expect((await store.tasks.byWorkflow(id)).map(({ status }) => status)).toEqual(['completed', 'running']);
  });

  test('an end that the fence refuses decides nothing', async () => {
    const { id, version, claim } = await running();
    const { settle, mail } = ended(claim);
    await store.tasks.cancel(claim.taskId, 'acme');
    const decision = advance(id, version, { journal: [mail.event], schedule: [stepOf(id, 'b')] });
    expect(await store.workflows.settleDecided([{ settle, mail }], decision)).toEqual({
      settled: [{ outcome: 'fenced' }],
      advanced: { outcome: 'conflict' },
    });
    expect(await store.workflows.journal(id)).toEqual([started]);
    expect((await unread(id)).map(({ event }) => event)).toMatchObject([{ type: 'step.failed', state: 'cancelled' }]);
  });

  test.each([
    ['as the journal has it', true],
    ['that the decision did not journal', false],
  ])('an end whose decision comes too late stands, and its mail waits, %s', async (_, journaled) => {
    const { id, version, claim } = await running();
    const { settle, mail } = ended(claim);
    const decision = advance(id, version - 1, { journal: journaled ? [mail.event] : [], schedule: [stepOf(id, 'b')] });
    const {
      settled: [settled],
      advanced,
    } = await store.workflows.settleDecided([{ settle, mail }], decision);
    expect([settled?.outcome, advanced.outcome]).toEqual(['committed', 'conflict']);
    expect(await unread(id)).toEqual([mail]);
    expect(await store.tasks.byWorkflow(id)).toHaveLength(1);
  });

  test('the mail made here says what the store would have written', async () => {
    const [one, two] = [await running(), await running()];
    const answer = await store.tasks.settle(settling(one.claim, undefined, { placed }));
    const [stored] = await unread(one.id);
    expect('mail' in answer && answer.mail).toEqual(stored);
    const made = ended(two.claim).mail;
    expect([stored?.placed, made.placed]).toEqual([placed, placed]);
    const times = { atMs: 0, startedAtMs: 0, createdAtMs: 0, lastStartedAtMs: 0, taskId: '' };
    expect({ ...made.event, ...times }).toEqual({ ...stored?.event, ...times });
    expect(stored?.eventId.replace(toUuid(one.claim.taskId), '')).toBe(
      made.eventId.replace(toUuid(two.claim.taskId), ''),
    );
    const event = stored?.event as CoordinationEvent & { type: 'step.completed' };
    const { createdAtMs, startedAtMs, atMs } = event;
    expect([createdAtMs, startedAtMs]).toEqual([one.claim.createdAtMs, one.claim.claimedAtMs]);
    expect(atMs).toBeGreaterThanOrEqual(one.claim.claimedAtMs);
  });

  test('what the database refuses of a decision is refused of its step, and of no other', async () => {
    const [bad, good] = [await running(), await running()];
    const one = ended(bad.claim);
    const two = ended(good.claim);
    const unstorable = { ...stepOf(bad.id, 'b'), input: '\u0000' };
    const [refused, done] = await Promise.allSettled([
      store.workflows.settleDecided([one], advance(bad.id, bad.version, { schedule: [unstorable] })),
      store.workflows.settleDecided([two], advance(good.id, good.version, { journal: [two.mail.event] })),
    ]);
    expect(refused.status).toBe('rejected');
    expect(done).toMatchObject({ value: { settled: [{ outcome: 'committed' }], advanced: { outcome: 'committed' } } });
    expect((await store.tasks.byWorkflow(bad.id)).map(({ status }) => status)).toEqual(['running']);
    expect(await store.tasks.settle(one.settle)).toMatchObject({ outcome: 'committed', mail: { workflowId: bad.id } });
  });

  test('values are taken as the database gives them back, down to the order of keys', async () => {
    const any = fc
      .jsonValue({ noUnicodeString: false })
      .filter((value) => !/\\u0000|\\ud[89a-f]/i.test(JSON.stringify(value)));
    await fc.assert(
      fc.asyncProperty(fc.array(any, { maxLength: 8 }), async (values) => {
        const { rows } = await db.query<{ value: unknown }>(
          sql('test_jsonb', 'SELECT $1::jsonb AS value', JSON.stringify(values)),
        );
        expect(JSON.stringify(asStored(values))).toBe(JSON.stringify(rows[0]?.value));
      }),
      { numRuns: 200 },
    );
  });

  test('the clock of the database is known', async () => {
    await store.leases.renew();
    const { rows } = await db.query<{ now: number }>(
      sql('test_now', 'SELECT (extract(epoch FROM clock_timestamp()) * 1000)::float8 AS now'),
    );
    expect(Math.abs(store.workflows.nowMs() - (rows[0]?.now ?? 0))).toBeLessThan(60_000);
  });
});
