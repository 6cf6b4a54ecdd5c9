// Looking back, on both databases: the log by time, what was open at a moment, journals replayed to a place, tries of a run.

import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Troupe, WorkflowView } from '../../runtime/index.ts';
import { STORES } from '../kit/rest-node.ts';
import { testTroupe } from '../kit/troupe.ts';

describe.each(STORES)('history on %s', (_name, databaseUrl) => {
  let troupe: Troupe;
  let run: WorkflowView;
  let before: string;

  beforeAll(async () => {
    const url = await databaseUrl();
    troupe = await testTroupe(url === undefined ? {} : { databaseUrl: url });
    for (let at = 0; at < 3; at += 1) await troupe.agents.spawn('probe');
    before = new Date(Date.now() - 1).toISOString();
    const probe = (id: string, input: object, dependsOn: string[] = []) => ({
      id,
      capability: 'probe.run',
      input,
      dependsOn,
      retry: { maxAttempts: 3, backoffMs: 1, jitter: 'none' as const },
    });
    const handle = await troupe.workflows.run({
      name: 'looked-back-at',
      pattern: 'parallel',
      tasks: [
        probe('a', { answer: 1 }),
        probe('b', { failTimes: 2, answer: 2 }),
        probe('c', { answer: 3 }, ['a', 'b']),
      ],
    });
    await handle.result();
    run = await troupe.workflows.get(handle.id);
  });
  afterAll(() => troupe.stop());

  test('a journal has every event in its order', async () => {
    const { items, total } = await troupe.history.journal(run.id);
    expect(items.map(({ seq }) => seq)).toEqual(items.map((_, at) => at + 1));
    expect(total).toBe(items.length);
    expect(items[0]?.event.type).toBe('started');
    expect(items.filter(({ event }) => event.type === 'step.completed').map(({ event }) => event.step)).toEqual(
      expect.arrayContaining(['a', 'b', 'c']),
    );
    const rest = await troupe.history.journal(run.id, { after: 1, limit: 1 });
    expect(rest).toEqual({ items: items.slice(1, 2), total });
  });

  test('a run is shown as it stood after each event', async () => {
    const { total } = await troupe.history.journal(run.id);
    const first = await troupe.history.workflowAt(run.id, 1);
    expect(first).toMatchObject({ seq: 1, total, ended: false, progress: { done: 0, total: 3 } });
    expect(first.tasks.map(({ state }) => state)).not.toContain('completed');
    expect(first.tasks[2]?.state).toBe('blocked');
    const done = [];
    for (let seq = 1; seq <= total; seq += 1) done.push((await troupe.history.workflowAt(run.id, seq)).progress.done);
    expect(done).toEqual([...done].sort((a, b) => a - b));
    const last = await troupe.history.workflowAt(run.id, total);
    expect(last).toMatchObject({ ended: true, progress: { done: 3, total: 3 } });
    expect(last.tasks.map(({ id, state, result }) => ({ id, state, result }))).toEqual(
      run.tasks.map(({ id, state, result }) => ({ id, state, result })),
    );
    expect(last.picture).toEqual(run.picture);
    await expect(troupe.history.workflowAt(run.id, total + 1)).rejects.toMatchObject({ code: 'invalid_input' });
  });

  test('every try of every round is there, with who failed it', async () => {
    const { items, nextCursor } = await troupe.history.attempts(run.id);
    expect(nextCursor).toBeNull();
    const outcomes = Object.fromEntries(items.map(({ step, attempts }) => [step, attempts.map((one) => one.outcome)]));
    expect(outcomes).toEqual({ a: ['completed'], b: ['failed', 'failed', 'completed'], c: ['completed'] });
    const whole = (await troupe.tasks.get(items[1]?.taskId ?? '')).attempts;
    expect(items[1]?.attempts.map(({ attempt, startedAt }) => ({ attempt, startedAt }))).toEqual(
      whole?.map(({ attempt, startedAt }) => ({ attempt, startedAt })),
    );
    const page = await troupe.history.attempts(run.id, { limit: 1 });
    expect(page.items).toEqual(items.slice(0, 1));
    const next = await troupe.history.attempts(run.id, { limit: 5, cursor: page.nextCursor ?? '' });
    expect(next.items).toEqual(items.slice(1));
  });

  test('the log is paged without gap or double, newest first, and its timeline counts the same', async () => {
    const to = new Date(Date.now() + 1_000).toISOString();
    const all = await troupe.history.events({ from: before, to, limit: 500 });
    const times = all.items.map(({ at }) => Date.parse(at));
    expect(times).toEqual([...times].sort((a, b) => b - a));
    const paged = [];
    for (let cursor: string | undefined; ; ) {
      const page = await troupe.history.events({ from: before, to, limit: 3, ...(cursor ? { cursor } : {}) });
      paged.push(...page.items);
      if (page.nextCursor === null) break;
      cursor = page.nextCursor;
    }
    expect(paged).toEqual(all.items);
    expect(all.items.filter(({ type }) => type === 'task.accepted')).toHaveLength(3);
    expect(all.items.filter(({ type }) => type === 'task.retrying')).toHaveLength(2);
    const only = await troupe.history.events({ from: before, to, kind: 'workflow', type: 'workflow.ended' });
    expect(only.items.map(({ stream }) => stream)).toEqual([run.id]);
    const { buckets } = await troupe.history.timeline({ from: before, to, buckets: 7 });
    const sum = buckets.flatMap(({ counts }) => Object.values(counts)).reduce((one, other) => one + other, 0);
    expect(sum).toBe(all.items.length);
  });

  test('of a moment it tells what was open', async () => {
    const { startedAt, endedAt } = run;
    const during = new Date((Date.parse(startedAt ?? '') + Date.parse(endedAt ?? '')) / 2).toISOString();
    expect((await troupe.history.moment(during)).workflows.running).toBe(1);
    expect(await troupe.history.moment(before)).toMatchObject({ workflows: { running: 0 }, agents: { present: 3 } });
  });

  test('another tenant sees nothing of it', async () => {
    const call = { tenant: 'elsewhere' };
    expect((await troupe.history.events({ from: before }, call)).items).toEqual([]);
    await expect(troupe.history.journal(run.id, {}, call)).rejects.toMatchObject({ code: 'workflow_not_found' });
    await expect(troupe.history.attempts(run.id, {}, call)).rejects.toMatchObject({ code: 'workflow_not_found' });
    await expect(troupe.history.workflowAt(run.id, 1, {}, call)).rejects.toMatchObject({ code: 'workflow_not_found' });
  });
});
