// The inspector's views of work in a real browser: what they draw is what the API tells, and what they do is done.

import type { Browser, Page } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { RunningNode } from '../../http/main.ts';
import type { TroupeRuntime } from '../../runtime/contracts/runtime.ts';
import type { CreateWorkflow, WorkflowView } from '../../runtime/contracts/workflow.ts';
import { inspectedNode, openBrowser, openInspector } from '../kit/browser.ts';

const CALL = { tenant: 'default' };
const probe = (id: string, dependsOn: string[] = [], input: object = {}) => ({
  id,
  capability: 'probe.run',
  dependsOn,
  input: { answer: id, ...input },
  retry: { maxAttempts: 3, backoffMs: 1 },
});

/** One run of every pattern, what its picture is made of, and how many there are by the API's own data. */
const PATTERNS: readonly [CreateWorkflow, selector: string, drawn: (run: WorkflowView) => number][] = [
  [
    { pattern: 'sequential', tasks: [probe('a'), probe('b', ['a']), probe('c', ['b'])] },
    '.order-step',
    ({ tasks }) => tasks.length,
  ],
  [
    { pattern: 'parallel', tasks: [probe('a'), probe('b', ['a'], { failTimes: 1 }), probe('c', ['a'])] },
    '.join-part',
    ({ tasks }) => new Set(tasks.map(({ state }) => state)).size,
  ],
  [
    {
      pattern: 'pipeline',
      stages: ['in', 'out'].map((id) => ({ id, capability: 'probe.run', input: { answer: id } })),
      items: [1, 2, 3],
    },
    '.stage',
    ({ picture }) => (picture as { stages: unknown[] }).stages.length,
  ],
  [
    {
      pattern: 'hierarchical',
      goal: 'What do these data say?',
      coordinator: { capability: 'plan.make' },
      // There are no such files: the plan is made, and made again.
      input: { data: ['none.csv', 'nothing.csv'] },
    },
    '.plan-task',
    ({ picture }) =>
      (picture as { rounds: { tasks: unknown[] }[] }).rounds.reduce((sum, { tasks }) => sum + tasks.length, 0),
  ],
  [
    {
      pattern: 'consensus',
      task: { capability: 'probe.run', input: { answer: 'yes' } },
      voters: { n: 5 },
      options: { ballot: 'answer' },
    },
    '.ballot',
    ({ picture }) => (picture as { ballots: unknown[] }).ballots.length,
  ],
  [
    { pattern: 'auction', tasks: [probe('lot-1'), probe('lot-2')], options: { replyByMs: 2_000 } },
    '.bid',
    ({ picture }) => (picture as { lots: { bids: unknown[] }[] }).lots.reduce((sum, { bids }) => sum + bids.length, 0),
  ],
  [
    {
      pattern: 'swarm',
      objective: { capability: 'function.evaluate', input: { function: 'sphere' } },
      options: {
        bounds: [
          [-5, 5],
          [-5, 5],
        ],
        agents: 6,
        maxIterations: 3,
      },
    },
    'circle.member',
    ({ picture }) => (picture as { members: unknown[] }).members.length,
  ],
];

let node: RunningNode;
let browser: Browser;
let runtime: TroupeRuntime;
const runs = new Map<string, string>();

const created = async (body: CreateWorkflow): Promise<string> =>
  (await runtime.workflows.create({ name: `a ${body.pattern} run`, ...body }, CALL, { start: true })).id;
const drawn = (page: Page, selector: string): Promise<number> => page.locator(selector).count();

beforeAll(async () => {
  [node, browser] = await Promise.all([inspectedNode({ leaseMs: 60_000 }), openBrowser()]);
  runtime = node.runtime;
  for (let bid = 1; bid <= 3; bid += 1)
    await runtime.agents.create({ type: 'probe', name: `probe-${bid}`, config: { bid } }, CALL);
  await runtime.agents.create({ type: 'analysis', name: 'analyst' }, CALL);
  await runtime.agents.create({ type: 'planner', name: 'planner', config: { models: 'off' } }, CALL);
  for (const [body] of PATTERNS) runs.set(body.pattern ?? '', await created(body));
  await Promise.all([...runs.values()].map((id) => runtime.workflows.wait(id, { timeoutMs: 60_000 }, CALL)));
});
afterAll(async () => {
  await browser?.close();
  await node?.stop();
});

describe('a run', () => {
  test('of every pattern has the picture that the API tells', async () => {
    await using inspector = await openInspector(browser, node);
    const { page } = inspector;
    for (const [{ pattern = '' }, selector, count] of PATTERNS) {
      const id = runs.get(pattern) ?? '';
      const run = await runtime.workflows.get(id, CALL);
      const expected = count(run);
      expect(expected, pattern).toBeGreaterThan(0);
      await inspector.goto(`#/workflows/${id}?tab=picture`);
      await page.locator(selector).first().waitFor();
      expect(await drawn(page, selector), pattern).toBe(expected);
    }
    expect(inspector.faults).toEqual([]);
  });

  test('has a box per step and a line per round with all its tries, its decisions and its past', async () => {
    await using inspector = await openInspector(browser, node);
    const { page } = inspector;
    const id = runs.get('parallel') ?? '';
    await inspector.goto(`#/workflows/${id}`);
    await page.locator('a.node').first().waitFor();
    expect(await drawn(page, 'a.node')).toBe(3);
    await page.locator('a.node').first().click();
    await page.locator('.chosen').waitFor();
    expect(await inspector.accessibilityFaults()).toEqual([]);
    await inspector.goto(`#/workflows/${id}?tab=attempts`);
    await page.locator('.gantt-row').first().waitFor();
    const { items } = await runtime.history.attempts(id, {}, CALL);
    const tries = items.reduce((sum, { attempts }) => sum + attempts.length, 0);
    expect(tries).toBeGreaterThanOrEqual(4);
    expect(await drawn(page, '.gantt-row')).toBe(items.length);
    expect(await drawn(page, '.gantt-row .span:not(.span-wait)')).toBe(tries);
    expect(await drawn(page, '.gantt-row.is-lit')).toBeGreaterThan(0);
    await inspector.goto(`#/workflows/${id}?tab=decisions`);
    const decisions = await runtime.workflows.decisions(id, { limit: 200 }, CALL);
    await page.locator('.decision-head').first().waitFor();
    expect(await drawn(page, '.decision-head')).toBe(decisions.length);
    await inspector.goto(`#/workflows/${id}?tab=past&at=1`);
    await page.getByText('0 of 3 done').waitFor();
    await page.getByRole('slider').press('End');
    await page.getByText('3 of 3 done').waitFor();
    expect(inspector.faults).toEqual([]);
  });

  test('is cancelled after a question, by those who may', async () => {
    const id = await created({ pattern: 'sequential', tasks: [probe('long', [], { sleepMs: 60_000 })] });
    await using viewer = await openInspector(browser, node, { role: 'viewer', at: `#/workflows/${id}` });
    await viewer.page.getByText('Critical path', { exact: true }).waitFor();
    expect(await viewer.page.getByRole('button', { name: 'Cancel run' }).count()).toBe(0);
    await using inspector = await openInspector(browser, node, { role: 'operator', at: `#/workflows/${id}` });
    await inspector.page.getByRole('button', { name: 'Cancel run' }).click();
    expect((await runtime.workflows.get(id, CALL)).status).toBe('running');
    await inspector.page.getByRole('dialog').getByRole('button', { name: 'Cancel run' }).click();
    await inspector.page.locator('.view-head .badge', { hasText: 'cancelled' }).waitFor();
    expect((await runtime.workflows.get(id, CALL)).status).toBe('cancelled');
  });

  test('gets the answer of a person', async () => {
    const approval = { prompt: 'May it go out?' };
    const id = await created({ pattern: 'sequential', tasks: [{ id: 'ok', approval }, probe('after', ['ok'])] });
    await using inspector = await openInspector(browser, node, {
      role: 'operator',
      width: 390,
      at: `#/workflows/${id}`,
    });
    await inspector.page.getByText('May it go out?').waitFor();
    expect(await inspector.overflows()).toBe(false);
    await inspector.page.getByRole('button', { name: 'Approve' }).click();
    await inspector.page.locator('.view-head .badge', { hasText: 'completed' }).waitFor();
    expect((await runtime.workflows.get(id, CALL)).tasks[0]).toMatchObject({ state: 'completed' });
  });
});

test('a dead task is opened with its attempts and redriven', async () => {
  const input = { failTimes: 2, answer: 'at last' };
  const task = await runtime.tasks.submit(
    { capability: 'probe.run', input, retry: { maxAttempts: 2, backoffMs: 1 } },
    CALL,
  );
  await runtime.tasks.wait(task.id, { timeoutMs: 30_000 }, CALL);
  await using inspector = await openInspector(browser, node, { at: '#/tasks?tab=dead' });
  const { page } = inspector;
  await page.locator('tbody a[href*="#/tasks/"]').first().click();
  await page.locator('.attempt').nth(1).waitFor();
  expect(await drawn(page, '.attempt')).toBe(2);
  await page.getByRole('button', { name: 'Redrive' }).click();
  await page.getByRole('dialog').getByRole('button', { name: 'Redrive' }).click();
  // Its attempts count anew, and their history stays.
  await page.locator('.attempt').nth(3).waitFor();
  expect((await runtime.tasks.get(task.id, CALL)).attempts).toHaveLength(4);
  expect(inspector.faults).toEqual([]);
});

test('a conversation is followed by its correlation', async () => {
  await using inspector = await openInspector(browser, node, { at: '#/messages' });
  const { page } = inspector;
  await page.getByText('No message has been seen').waitFor();
  // Until the focus has reached the threads, nothing is told.
  for (let at = 0; (await drawn(page, 'a.arrow')) === 0 && at < 40; at += 1) {
    await runtime.agents.ask(
      'probe-1',
      'troupe.cfp',
      { capability: 'probe.run', input: {} },
      { timeoutMs: 5_000 },
      CALL,
    );
    await page.waitForTimeout(250);
  }
  await page.locator('a.arrow').first().click();
  const told = await drawn(page, 'a.arrow');
  expect(told).toBeGreaterThan(0);
  await page.getByRole('button', { name: 'Follow this conversation' }).click();
  await page.getByText('Following').waitFor();
  const followed = await drawn(page, 'a.arrow');
  expect(followed).toBeGreaterThan(0);
  expect(followed).toBeLessThanOrEqual(2);
  expect(page.url()).toContain('follow=');
  expect(await inspector.accessibilityFaults()).toEqual([]);
});

test('history has an event per line, and a slider', async () => {
  await using inspector = await openInspector(browser, node, { at: '#/history?kind=workflow&type=workflow.ended' });
  const { page } = inspector;
  await page.locator('.log tbody tr').first().waitFor();
  const { items } = await runtime.history.events({ kind: 'workflow', type: 'workflow.ended', limit: 200 }, CALL);
  expect(await drawn(page, '.log tbody tr')).toBe(items.length);
  await page.getByRole('slider', { name: 'Moment' }).press('Home');
  await page.getByText('Nothing had happened in this window').waitFor();
  expect(inspector.faults).toEqual([]);
});
