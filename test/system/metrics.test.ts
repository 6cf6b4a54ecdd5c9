// Metrics of a real node under load, while a thread dies: the books agree, the text is what Prometheus reads, the dashboard asks for what is there.

import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { createApp } from '../../http/app.ts';
import type { Troupe } from '../../runtime/index.ts';
import { eventually } from '../kit/eventually.ts';
import { type Family, parsePrometheus, sampled } from '../kit/prometheus.ts';
import { testTroupe } from '../kit/troupe.ts';

const dashboardFile = new URL('../../data/grafana/troupe.json', import.meta.url);
const retry = { maxAttempts: 5, backoffMs: 0, jitter: 'none' } as const;
const OUTCOMES = ['completed', 'failed', 'dead', 'cancelled', 'timed_out'] as const;

let troupe: Troupe;
let app: ReturnType<typeof createApp>;
beforeAll(async () => {
  troupe = await testTroupe({ threads: 2 });
  const caller = { subject: 'tester', tenant: 'default', role: 'admin' } as const;
  app = createApp(troupe, { authenticate: async () => caller });
});
afterAll(() => troupe.stop());

const get = async (path: string): Promise<Response> => app.request(path);
const scrape = async (): Promise<Map<string, Family>> => parsePrometheus(await (await get('/metrics')).text());
const report = async () =>
  (await (await get('/api/agents/metrics')).json()) as Record<string, Record<string, Record<string, unknown>>>;

describe('under load, with a thread that dies', () => {
  /** What each task came to, as its caller saw it. */
  const ended: Record<string, number> = {};
  let submitted = 0;

  beforeAll(async () => {
    for (let n = 0; n < 6; n++) await troupe.agents.spawn('probe');
    const inputs = Array.from({ length: 100 }, (_, n) => {
      if (n % 10 === 3) return { input: { failTimes: 99 }, retry: { ...retry, maxAttempts: 2 } };
      if (n % 10 === 5) return { input: { failTimes: 1 } };
      if (n % 10 === 7) return { input: { sleepMs: 5_000 }, timeoutMs: 30 };
      return { input: { sleepMs: 5 } };
    });
    const answers = await troupe.tasks.submitMany(inputs.map((each) => ({ capability: 'probe.run', retry, ...each })));
    const ids = answers.flatMap((answer) => (answer.ok ? [answer.task.id] : []));
    submitted = ids.length;
    // Waiting ones that are cancelled, and one that stays open.
    const late = await troupe.tasks.submit({ capability: 'probe.run', input: {}, delayMs: 60_000 });
    await troupe.tasks.submit({ capability: 'probe.run', input: {}, delayMs: 600_000 });
    await troupe.tasks.cancel(late.id);
    submitted += 2;
    ended.cancelled = 1;
    const { threads } = await troupe.system.status();
    troupe.system.killThread(threads[0]?.thread ?? 0, 'exit');
    for (const id of ids) {
      const { status } = await troupe.tasks.wait(id, { timeoutMs: 60_000 });
      ended[status] = (ended[status] ?? 0) + 1;
    }
    await eventually(
      async () => (await troupe.agents.list({ state: 'idle' })).items.length === 6,
      'the agents to be back',
    );
  });

  test('what was submitted is what ended, by outcome, and what is open', async () => {
    const series = await scrape();
    expect(sampled(series, 'troupe_tasks_accepted_total')).toBe(submitted);
    const counted = Object.fromEntries(
      OUTCOMES.map((outcome) => [outcome, sampled(series, 'troupe_tasks_ended_total', { outcome })]),
    );
    expect(counted).toEqual({ ...Object.fromEntries(OUTCOMES.map((each) => [each, 0])), ...ended });
    const inStore = Object.fromEntries(OUTCOMES.map((state) => [state, sampled(series, 'troupe_tasks', { state })]));
    expect(inStore).toEqual(counted);
    expect(sampled(series, 'troupe_tasks')).toBe(submitted);
    expect(sampled(series, 'troupe_tasks', { state: 'scheduled' })).toBe(1);
  });

  test('the report says the same, with what the death of the thread came to', async () => {
    const { agents = {}, orchestration = {} } = await report();
    const execution = agents.execution as Record<string, number>;
    expect(execution).toMatchObject({ submitted, open: 1, ...ended });
    const sum = OUTCOMES.reduce((total, outcome) => total + (execution[outcome] ?? 0), execution.open ?? 0);
    expect(sum).toBe(execution.submitted);
    expect(orchestration.faultTolerance).toMatchObject({ threadsLost: 1, detections: 1 });
    expect(orchestration.faultTolerance?.detectionMeanMs).toBeLessThan(2_000);
    expect(orchestration.faultTolerance?.recoveries).toBeGreaterThan(0);
    expect(orchestration.scaling?.events).toContainEqual(
      expect.objectContaining({ type: 'thread.down', reason: 'exited' }),
    );
    expect(orchestration.distribution?.assignmentP95Ms).toBeGreaterThan(0);
    expect(agents.availability).toMatchObject({ oldestBeatMs: expect.any(Number), errorsPerHour: expect.any(Number) });
    expect(agents.communication).toMatchObject({ slowestDeliveryP95Ms: expect.any(Number), errors: 0 });
    const health = orchestration.health as { active: number; failed: number };
    expect([health.active, health.failed]).toEqual([6, 0]);
  });

  test('the store and the edge are counted too', async () => {
    await get('/api/agents/list?limit=1');
    await get('/api/agents/no-such-agent');
    const series = await scrape();
    const flushes = sampled(series, 'troupe_store_flush_seconds_count');
    expect(flushes).toBeGreaterThan(0);
    expect(sampled(series, 'troupe_store_flush_operations_sum')).toBeGreaterThanOrEqual(submitted);
    expect(sampled(series, 'troupe_store_flush_operations_count')).toBe(flushes);
    expect(sampled(series, 'troupe_http_requests_total', { route: '/api/agents/list', status: '200' })).toBe(1);
    expect(sampled(series, 'troupe_http_requests_total', { route: '/api/agents/{id}', status: '404' })).toBe(1);
    expect(sampled(series, 'troupe_thread_deaths_total', { reason: 'exited' })).toBe(1);
    expect(sampled(series, 'troupe_task_attempts_total', { result: 'committed' })).toBeGreaterThanOrEqual(
      submitted - 2,
    );
  });
});

test('workflows are known by their pattern, with critical path and overhead', async () => {
  const step = (id: string, sleepMs: number, ...dependsOn: string[]) => ({
    ...{ id, capability: 'probe.run', input: { sleepMs } },
    ...(dependsOn.length > 0 ? { dependsOn } : {}),
  });
  // The longest chain is a, c, f, h.
  const tasks = [
    ...[step('a', 40), step('b', 10), step('c', 500, 'a'), step('d', 10, 'a'), step('e', 10, 'b')],
    ...[step('f', 150, 'c', 'd'), step('g', 10, 'e'), step('h', 30, 'f', 'g')],
  ];
  const ran = async (body: Parameters<Troupe['workflows']['create']>[0]) => {
    const { id } = await troupe.workflows.create(body, undefined, { start: true });
    return troupe.workflows.wait(id, { timeoutMs: 30_000 });
  };
  const run = await ran({ pattern: 'parallel', tasks });
  expect(run.metrics).toMatchObject({ criticalPath: ['a', 'c', 'f', 'h'], bottleneck: 'c' });
  const failed = await ran({
    tasks: [{ id: 'x', capability: 'probe.run', input: { failTimes: 9 }, retry: { maxAttempts: 1 } }],
  });
  expect(failed.status).toBe('failed');
  const { workflows = {} } = await report();
  const metrics = run.metrics as { wallMs: number; criticalPathMs: number; overheadMs: number };
  expect(metrics.overheadMs).toBeCloseTo(metrics.wallMs - metrics.criticalPathMs, 6);
  expect(workflows).toMatchObject({
    ended: { completed: 1, failed: 1 },
    successRate: 0.5,
    failureCauses: { step_failed: 1 },
    byPattern: {
      parallel: {
        ended: 1,
        wallP50Ms: metrics.wallMs,
        criticalPathP50Ms: metrics.criticalPathMs,
        overheadP50Ms: metrics.overheadMs,
      },
      sequential: { ended: 1 },
    },
  });
  const series = await scrape();
  expect(sampled(series, 'troupe_workflow_wall_seconds_sum', { pattern: 'parallel' })).toBeCloseTo(
    metrics.wallMs / 1_000,
    6,
  );
});

test('no label holds an identifier', async () => {
  for (const { samples } of (await scrape()).values())
    for (const { labels } of samples)
      for (const value of Object.values(labels)) expect(value).not.toMatch(/\b(agt|tsk|wfl|msg|nod)_|[0-9a-f-]{36}/);
});

test('promtool finds nothing to complain about', async ({ skip }) => {
  const text = await (await get('/metrics')).text();
  const { error, status, stdout, stderr } = spawnSync('promtool', ['check', 'metrics'], {
    input: text,
    encoding: 'utf8',
  });
  if (error)
    skip('promtool is not here (Debian: apt-get install prometheus); the parser of the tests has read the text');
  expect([status, stdout, stderr]).toEqual([0, '', '']);
});

describe('the dashboard', () => {
  interface Panel {
    readonly id: number;
    readonly title: string;
    readonly type: string;
    readonly gridPos: { readonly x: number; readonly y: number; readonly w: number; readonly h: number };
    readonly datasource?: unknown;
    readonly targets?: readonly { readonly expr: string; readonly refId: string }[];
  }
  const dashboard = JSON.parse(readFileSync(dashboardFile, 'utf8')) as {
    readonly title: string;
    readonly uid: string;
    readonly schemaVersion: number;
    readonly panels: readonly Panel[];
    readonly templating: { readonly list: readonly { readonly name: string; readonly query?: unknown }[] };
  };
  const exprs = dashboard.panels.flatMap(({ title, targets = [] }) =>
    targets.map(({ expr }) => [title, expr] as const),
  );

  test('is one that Grafana loads: ids, places and queries of panels', () => {
    expect(dashboard).toMatchObject({ uid: 'troupe', schemaVersion: expect.any(Number) });
    const ids = dashboard.panels.map(({ id }) => id);
    expect(new Set(ids).size).toBe(ids.length);
    for (const { gridPos, type, targets = [] } of dashboard.panels) {
      expect(gridPos.x + gridPos.w).toBeLessThanOrEqual(24);
      expect(gridPos.h).toBeGreaterThan(0);
      expect(type === 'row' || targets.length > 0).toBe(true);
    }
    expect(exprs.length).toBeGreaterThan(15);
  });

  test.each(exprs)('%s asks for what the node has: %s', async (_title, expr) => {
    const series = await scrape();
    const asked = [...expr.matchAll(/(troupe_\w+)(?:\{([^}]*)\})?/g)];
    expect(asked.length).toBeGreaterThan(0);
    const known = new Set<string>(['instance', 'job']);
    let silent = false;
    for (const [, name = '', selector = ''] of asked) {
      const family = series.get(name) ?? series.get(name.replace(/_(bucket|sum|count)$/, ''));
      expect(family, name).toBeDefined();
      expect(/_(bucket|sum|count)$/.test(name), name).toBe(family?.type === 'histogram');
      for (const { labels } of family?.samples ?? []) for (const label of Object.keys(labels)) known.add(label);
      const own = new Set([...(family?.samples ?? []).flatMap(({ labels }) => Object.keys(labels)), 'instance', 'job']);
      if (family?.samples.length)
        for (const [, label = ''] of selector.matchAll(/(\w+)\s*[=!]~?"/g)) expect([...own]).toContain(label);
      silent ||= family?.samples.length === 0;
      // Only what grows has a rate.
      if (new RegExp(`(rate|increase)\\(${name}`).test(expr)) expect(family?.type).not.toBe('gauge');
    }
    for (const [, labels = ''] of expr.matchAll(/\bby \(([^)]*)\)/g))
      for (const label of labels.split(',').map((each) => each.trim()))
        if (!silent) expect([...known, 'le'], label).toContain(label);
  });
});
