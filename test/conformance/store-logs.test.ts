// The logs of events, attempts and decisions, which are views: what a commit gave out live is what is read of it later, row of its own or not.

import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { CoordinationEvent, Decision } from '../../runtime/contracts/coordination.ts';
import type { RuntimeEvent } from '../../runtime/contracts/event.ts';
import type { WorkflowId } from '../../runtime/contracts/ids.ts';
import type { Advance, Store } from '../../runtime/contracts/store.ts';
import type { ClaimedTask } from '../../runtime/contracts/task.ts';
import type { WorkflowSpec } from '../../runtime/contracts/workflow.ts';
import type { StoreDb } from '../../runtime/store/sql.ts';
import { ENGINES, newId, newTask, openNode, settling, unique } from '../kit/store.ts';

describe.each(ENGINES)('logs on $name', (backend) => {
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

  const read = (stream: string): Promise<readonly RuntimeEvent[]> => store.events.read(stream, 'acme', 0, 100);
  async function claimed(queue: string): Promise<ClaimedTask> {
    const [claim] = await store.tasks.claim([{ queue, slots: 1 }]);
    return claim ?? expect.unreachable();
  }
  async function given(settle: Parameters<Store['tasks']['settle']>[0]): Promise<readonly RuntimeEvent[]> {
    const answer = await store.tasks.settle(settle);
    return answer.outcome === 'committed' ? answer.events : expect.unreachable();
  }

  test('a task that its first attempt completed stands for the attempt and for its last event', async () => {
    const task = newTask({ queue: unique('q') });
    await store.tasks.submit(task);
    const agentId = newId('agent');
    const settle = settling(await claimed(task.queue), undefined, {
      agentId,
      thread: 2,
      runMs: 12.5,
      usage: { tokens: 7 },
    });
    const [, ...later] = await read(task.id);
    expect(later).toEqual([]);
    const events = await given(settle);
    expect(events).toMatchObject([
      { seq: 2, type: 'task.completed', data: { agentId, runMs: 12.5, usage: { tokens: 7 } } },
    ]);
    expect((await read(task.id)).slice(1)).toEqual(events);
    expect(await store.events.read(task.id, 'acme', 2, 10)).toEqual([]);
    expect(await store.tasks.attempts(task.id)).toMatchObject([
      { attempt: 1, outcome: 'completed', agentId, thread: 2, error: null, endedAt: events[0]?.at },
    ]);
  });

  test('a task that took more keeps a row of each attempt and of each end', async () => {
    const task = newTask({ queue: unique('q') });
    await store.tasks.submit(task);
    const error = { code: 'handler_failed', message: 'no', retryable: true } as const;
    const retry = { type: 'retry', error, delayMs: 0, charge: true } as const;
    const first = await given(settling(await claimed(task.queue), retry, { runMs: 3 }));
    const second = await given(settling(await claimed(task.queue), undefined, { runMs: 4, usage: { tokens: 1 } }));
    expect((await read(task.id)).slice(1)).toEqual([...first, ...second]);
    expect(second).toMatchObject([{ seq: 3, type: 'task.completed', data: { attempt: 2, usage: { tokens: 1 } } }]);
    expect((await store.tasks.attempts(task.id)).map(({ attempt, outcome }) => [attempt, outcome])).toEqual([
      [1, 'failed'],
      [2, 'completed'],
    ]);
  });

  const spec = { name: 'logged', pattern: 'sequential', tasks: [], options: {}, seed: 7 } as unknown as WorkflowSpec;
  const newRun = (start: boolean) => ({
    id: newId('workflow'),
    tenant: 'acme',
    spec,
    defHash: 'hash',
    total: 2,
    start,
  });
  const decision = (chosen: string): Decision => ({ kind: 'schedule', rule: 'ready', chosen });
  const told = (id: WorkflowId, step: string) =>
    ({ stream: id, type: 'workflow.step', tenant: 'acme', data: { step } }) as const;
  const rang = (key: string): CoordinationEvent => ({ type: 'timer', atMs: 9, key });
  const advance = (workflowId: WorkflowId, version: number, change: Partial<Advance>): Advance => ({
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

  test('a run is told of from its first event to its last, whatever a commit carries', async () => {
    const run = newRun(true);
    const made = await store.workflows.create(run);
    if (made.outcome !== 'created') return expect.unreachable();
    const published = [...made.events];
    const steps: Partial<Advance>[] = [
      { journal: [rang('a'), rang('b')], decisions: [decision('1'), decision('2')], events: [told(run.id, 'a')] },
      { journal: [rang('c')] },
      { journal: [rang('d')], decisions: [decision('3')], events: [told(run.id, 'b'), told(run.id, 'c')] },
    ];
    let version = made.row.version;
    for (const step of steps) {
      const answer = await store.workflows.advance(advance(run.id, version, step));
      if (answer.outcome !== 'committed') return expect.unreachable();
      version = answer.version;
      published.push(...answer.events);
    }
    expect(published.map(({ seq }) => seq)).toEqual([1, 2, 3, 4, 5]);
    expect(await read(run.id)).toEqual(published);
    expect(await store.events.read(run.id, 'acme', 3, 1)).toEqual([published[3]]);
    expect(await store.events.read(run.id, 'other', 0, 10)).toEqual([]);
    const all = await store.workflows.decisions(run.id, 10, 0);
    expect(all.map(({ seq, chosen }) => [seq, chosen])).toEqual([
      [1, '1'],
      [2, '2'],
      [3, '3'],
    ]);
    expect(await store.workflows.decisions(run.id, 1, 1)).toEqual([all[1]]);
    expect(await store.workflows.decisions(run.id, 5, 3)).toEqual([]);
  });

  test('a run that is started later has an event of its start', async () => {
    const run = newRun(false);
    const made = await store.workflows.create(run);
    const begun = await store.workflows.start(run.id, 'acme', 7);
    if (made.outcome !== 'created' || begun.outcome !== 'started') return expect.unreachable();
    expect(await read(run.id)).toEqual([...made.events, ...begun.events]);
  });

  test('a decision that nothing caused is refused', async () => {
    const run = newRun(true);
    const made = await store.workflows.create(run);
    if (made.outcome !== 'created') return expect.unreachable();
    const wild = store.workflows.advance(advance(run.id, made.row.version, { decisions: [decision('1')] }));
    await expect(wild).rejects.toMatchObject({ code: 'internal' });
  });
});
