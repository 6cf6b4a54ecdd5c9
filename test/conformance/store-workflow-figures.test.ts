// Questions about many runs at once, on every database: which stand still, what patterns achieved, what capabilities take.

import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { toUuid, type WorkflowId } from '../../runtime/contracts/ids.ts';
import type { Advance, Store, WorkflowRow } from '../../runtime/contracts/store.ts';
import type { WorkflowSpec } from '../../runtime/contracts/workflow.ts';
import type { StoreDb } from '../../runtime/store/sql.ts';
import { ENGINES, newId, newTask, openNode, settling, unique } from '../kit/store.ts';

const spec: WorkflowSpec = {
  name: 'w',
  pattern: 'sequential',
  tasks: [],
  options: {},
  onFailure: 'fail_fast',
  seed: 1,
};
type Row = Pick<WorkflowRow, 'id' | 'version' | 'tenant'>;

describe.each(ENGINES)('figures about runs on $name', (backend) => {
  let db: StoreDb;
  let close: () => Promise<void>;
  let store: Store;
  let tenant: string;

  beforeAll(async () => {
    ({ db, close } = await backend.open());
    store = await openNode(db);
  });
  afterAll(() => close());
  beforeEach(() => {
    tenant = unique('tenant');
  });

  async function created(change: Partial<WorkflowSpec> = {}): Promise<WorkflowId> {
    const id = newId('workflow');
    await store.workflows.create({ id, tenant, spec: { ...spec, ...change }, defHash: 'd', total: 1 });
    return id;
  }
  async function started(change: Partial<WorkflowSpec> = {}): Promise<Row> {
    const result = await store.workflows.start(await created(change), tenant, 7);
    if (result.outcome !== 'started') throw new Error(result.outcome);
    return result.row;
  }
  async function advance(row: Row, change: Partial<Advance> = {}): Promise<Row> {
    const result = await store.workflows.advance({
      workflowId: row.id,
      tenant,
      version: row.version,
      consumed: ['started'],
      journal: [{ type: 'started', atMs: 1, seed: 7 }],
      schedule: [],
      cancel: [],
      timers: [],
      decisions: [],
      events: [],
      progress: { done: 0, total: 1 },
      ...change,
    });
    if (result.outcome !== 'committed') throw new Error(result.outcome);
    return { ...row, version: result.version };
  }
  const stuck = async (idleMs = 0) => (await store.workflows.stuck(tenant, idleMs, 10)).map((row) => row.id);
  const taskOf = (row: Row, queue: string, step = 'a', round = 0) =>
    newTask({ queue, tenant, workflow: { id: row.id, step, round } });

  describe('a run that stands still', () => {
    const ask = { step: 'ask', round: 0, request: { kind: 'approval', prompt: 'ok?' } as const, expiresMs: 60_000 };
    const end = { status: 'completed', stopReason: 'all_done', output: null } as const;
    const child = (): NonNullable<Advance['children']>[number] => ({
      id: newId('workflow'),
      step: 'inner',
      round: 0,
      spec,
      defHash: 'd',
      total: 1,
    });

    test.each<[string, boolean, () => Promise<unknown>]>([
      ['decided, and has nothing in flight', true, async () => advance(await started())],
      ['has only a deadline', true, async () => advance(await started({ deadlineMs: 60_000 }))],
      [
        'has only the wall time of its budget',
        true,
        async () => advance(await started(), { timers: [{ key: '$wall', afterMs: 60_000 }] }),
      ],
      ['has mail nobody read', false, async () => advance(await started(), { consumed: [] })],
      [
        'has a task that is open',
        false,
        async () => {
          const row = await started();
          return advance(row, { schedule: [taskOf(row, unique('q'))] });
        },
      ],
      ['has a run inside that is open', false, async () => advance(await started(), { children: [child()] })],
      ['waits for a person', false, async () => advance(await started(), { asks: [ask] })],
      [
        'waits for a timer',
        false,
        async () => advance(await started(), { timers: [{ key: 'again', afterMs: 60_000 }] }),
      ],
      ['is paused', false, async () => advance(await started(), { status: 'paused' })],
      ['was never started', false, () => created()],
      ['has ended', false, async () => advance(await started(), { end })],
    ])('%s: %s', async (_, listed, make) => {
      const row = (await make()) as Row | WorkflowId;
      expect(await stuck()).toEqual(listed ? [typeof row === 'string' ? row : row.id] : []);
      expect(await store.workflows.stuck('nobody', 0, 10)).toEqual([]);
    });

    test('is one once its last task has ended and the news of it is read', async () => {
      const row = await started();
      const queue = unique('q');
      const next = await advance(row, { schedule: [taskOf(row, queue)] });
      const [claim] = await store.tasks.claim([{ queue, slots: 1 }]);
      if (!claim) throw new Error('no claim');
      await store.tasks.settle(settling(claim));
      expect(await stuck()).toEqual([]);
      const [mail] = await store.workflows.inbox([row.id], 10);
      await advance(next, { consumed: [mail?.eventId ?? ''] });
      expect(await stuck()).toEqual([row.id]);
    });

    test('is none before it has been still for long enough', async () => {
      const row = await advance(await started());
      expect(await stuck(60_000)).toEqual([]);
      await db.script(`UPDATE workflow SET started_at = started_at - interval '1 hour' WHERE id = '${toUuid(row.id)}'`);
      expect(await stuck(60_000)).toEqual([]);
      await db.script(
        `UPDATE workflow_journal SET at = at - interval '1 hour' WHERE workflow_id = '${toUuid(row.id)}'`,
      );
      expect(await stuck(60_000)).toEqual([row.id]);
    });
  });

  describe('what patterns achieved', () => {
    async function ended(pattern: string, wallMs: number, change: Partial<NonNullable<Advance['end']>> = {}) {
      const row = await started({ pattern });
      await advance(row, { end: { status: 'completed', stopReason: 'all_done', output: null, ...change } });
      await db.script(
        `UPDATE workflow SET started_at = ended_at - interval '${wallMs} milliseconds' WHERE id = '${toUuid(row.id)}'`,
      );
      return row.id;
    }

    test('by status, reason and error, times over what succeeded', async () => {
      for (const [at, wallMs] of [100, 200, 300].entries())
        await ended('parallel', wallMs, { metrics: { speedup: at + 1 } });
      await ended('parallel', 9_999, {
        status: 'failed',
        stopReason: 'step_failed',
        error: { code: 'boom', message: 'it broke', retryable: false },
      });
      await ended('sequential', 50, { status: 'partial' });
      const old = await ended('swarm', 50);
      await db.script(`UPDATE workflow SET ended_at = ended_at - interval '2 hours' WHERE id = '${toUuid(old)}'`);
      await started({ pattern: 'auction' });

      const figures = await store.workflows.statistics(tenant, 3_600_000);
      expect(figures).toMatchObject([
        {
          pattern: 'parallel',
          runs: 4,
          byStatus: { completed: 3, failed: 1 },
          byStopReason: { all_done: 3, step_failed: 1 },
          failures: { boom: 1 },
          speedup: { p50: 2, mean: 2 },
        },
        { pattern: 'sequential', runs: 1, byStatus: { partial: 1 }, failures: {}, speedup: null },
      ]);
      expect(figures[0]?.wallMs?.p50).toBeCloseTo(200, 3);
      expect(figures[0]?.wallMs?.p95).toBeCloseTo(290, 3);
      expect(figures[0]?.wallMs?.mean).toBeCloseTo(200, 3);
      expect(await store.workflows.statistics('nobody', 3_600_000)).toEqual([]);
    });
  });

  describe('what tasks took and where they stand', () => {
    test('durations are medians of last tries, by capability, of the newest tasks', async () => {
      const queue = unique('q');
      // Ids of one millisecond are in no order.
      const ids = Array.from({ length: 5 }, () => newId('task')).sort();
      const tasks = ids.slice(0, 4).map((id, at) => {
        const ms = [10, 20, 90, 7][at] ?? 0;
        return { ms, task: newTask({ id, queue, tenant, capability: at < 3 ? 'text.upper' : 'text.lower' }) };
      });
      for (const { task } of tasks) await store.tasks.submit(task);
      await store.tasks.submit(newTask({ ...(ids[4] ? { id: ids[4] } : {}), tenant, capability: 'text.open' }));
      for (const claim of await store.tasks.claim([{ queue, slots: 9 }])) await store.tasks.settle(settling(claim));
      for (const { ms, task } of tasks)
        await db.script(
          `UPDATE task SET started_at = ended_at - interval '1 hour', claimed_at = ended_at - interval '${ms} milliseconds' WHERE id = '${toUuid(task.id)}'`,
        );
      const shown = (rows: Awaited<ReturnType<Store['tasks']['durations']>>) =>
        rows.map(({ capability, medianMs, samples }) => [capability, Math.round(medianMs), samples]);
      expect(shown(await store.tasks.durations(tenant, 100))).toEqual([
        ['text.lower', 7, 1],
        ['text.upper', 20, 3],
      ]);
      // The newest two: the open one and text.lower.
      expect(shown(await store.tasks.durations(tenant, 2))).toEqual([['text.lower', 7, 1]]);
    });

    test('of some steps, only these, the newest round of each, without its input', async () => {
      const row = await started();
      const queue = unique('q');
      const schedule = [
        taskOf(row, queue, 'a', 0),
        taskOf(row, queue, 'a', 1),
        taskOf(row, queue, 'b'),
        taskOf(row, queue, 'c'),
      ];
      await advance(row, { schedule });
      const views = await store.tasks.bySteps(row.id, ['a', 'b', 'none']);
      expect(views.map(({ id, input }) => [id, input])).toEqual([
        [schedule[1]?.id, null],
        [schedule[2]?.id, null],
      ]);
      expect(await store.tasks.bySteps(row.id, [])).toEqual([]);
    });

    test('a run in brief is the same row without definition and output, and of its tenant only', async () => {
      const { id } = await advance(await started(), {
        end: { status: 'completed', stopReason: 'all_done', output: { large: true }, metrics: { wallMs: 1 } },
      });
      const {
        metrics: _metrics,
        spec: _spec,
        output: _output,
        ...rest
      } = (await store.workflows.get(id, tenant)) ?? {};
      expect(await store.workflows.brief(id, tenant)).toMatchObject(rest);
      expect(await store.workflows.brief(id, tenant)).toMatchObject({ spec: null, output: null, status: 'completed' });
      expect(await store.workflows.brief(id, 'nobody')).toBeNull();
    });

    test('the end of a step says when its row was made and its last try began', async () => {
      const row = await started();
      const queue = unique('q');
      await advance(row, { schedule: [taskOf(row, queue)] });
      const [first] = await store.tasks.claim([{ queue, slots: 1 }]);
      if (!first) throw new Error('no claim');
      const error = { code: 'boom', message: 'it broke', retryable: true };
      await store.tasks.settle(settling(first, { type: 'retry', delayMs: 0, error, charge: true }));
      const [second] = await store.tasks.claim([{ queue, slots: 1 }]);
      if (!second) throw new Error('no claim');
      await store.tasks.settle(settling(second));
      const [mail] = await store.workflows.inbox([row.id], 10);
      const event = mail?.event as { createdAtMs: number; startedAtMs: number; lastStartedAtMs: number; atMs: number };
      const times = [event.createdAtMs, event.startedAtMs, event.lastStartedAtMs, event.atMs];
      expect(times.every(Number.isInteger)).toBe(true);
      expect([...times].sort((a, b) => a - b)).toEqual(times);
      const { attempt, timings } = (await store.tasks.get(second.taskId, tenant)) ?? {};
      expect([attempt, timings && Math.floor(Date.parse(timings.submittedAt))]).toEqual([2, event.createdAtMs]);
    });
  });
});
