// The inspector page in a real browser, on a node with three threads under load.

import type { Browser } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { RunningNode } from '../../http/main.ts';
import { inspectedNode, openBrowser, openInspector } from '../kit/browser.ts';
import { eventually } from '../kit/eventually.ts';

const AGENTS = 40;
const LOAD_EVERY_MS = 200;
const TASKS = Array.from({ length: 4 }, () => ({ capability: 'probe.run', input: { sleepMs: 40 } }));

let node: RunningNode;
let browser: Browser;
let load: ReturnType<typeof setInterval>;

beforeAll(async () => {
  [node, browser] = await Promise.all([inspectedNode(), openBrowser()]);
  const { agents, tasks } = node.runtime;
  await Promise.all(Array.from({ length: AGENTS }, (_, index) => agents.create({ type: 'probe', name: `p-${index}` })));
  load = setInterval(() => void tasks.submitMany(TASKS).catch(() => {}), LOAD_EVERY_MS);
});
afterAll(async () => {
  clearInterval(load);
  await browser?.close();
  await node?.stop();
});

const VIEWS: readonly (readonly [at: string, shows: string])[] = [
  ['#/home', 'Agents by state'],
  ['#/tree', 'dispatcher'],
  ['#/tree?as=map', 'Thread 3'],
  ['#/agents', 'p-7'],
  ['#/agents/p-7', 'Lifecycle'],
  ['#/agents/p-7?tab=about', 'probe.run@1'],
  ['#/threads', 'thread 2'],
  ['#/threads?tab=nodes', 'Heartbeat'],
  ['#/threads?tab=configuration', 'TROUPE_INSPECTOR'],
];

describe.each([
  ['on a desk', { width: 1_440, scheme: 'light' as const }],
  ['on a phone, dark', { width: 390, scheme: 'dark' as const }],
])('%s', (_name, look) => {
  test('every view opens, stays within the window, and has no serious fault of accessibility', async () => {
    await using inspector = await openInspector(browser, node, look);
    const found: string[] = [];
    for (const [at, shows] of VIEWS) {
      await inspector.goto(at);
      await inspector.page
        .getByText(shows)
        .first()
        .waitFor({ state: look.width < 500 ? 'attached' : 'visible' });
      found.push(...(await inspector.accessibilityFaults()).map((fault) => `${at} ${fault}`));
      if (await inspector.overflows()) found.push(`${at} is wider than the window`);
    }
    expect([...found, ...inspector.faults]).toEqual([]);
  });
});

describe('who may see and do what', () => {
  test('without a token there is a login, and nothing is asked of the server', async () => {
    await using inspector = await openInspector(browser, node, { role: null, at: '#/agents' });
    const { page } = inspector;
    const asked: string[] = [];
    page.on('request', (request) => request.url().includes('/api/') && asked.push(request.url()));
    await page.getByRole('button', { name: 'Log in' }).click();
    await page.getByRole('alert').getByText('Paste a token first').waitFor();
    await page.getByLabel('Token').fill('not a token');
    await page.getByLabel('Token').press('Enter');
    await page.getByRole('alert').getByText('This is no token').waitFor();
    expect(await page.getByText('p-7').count()).toBe(0);
    expect(await inspector.accessibilityFaults()).toEqual([]);
    expect([...asked, ...inspector.faults]).toEqual([]);
    await page.getByLabel('Token').fill((await node.token('viewer', 60_000)) ?? '');
    await page.getByLabel('Token').press('Enter');
    await page.getByRole('link', { name: 'p-7', exact: true }).waitFor();
  });

  test('a token in the address goes from there into the tab', async () => {
    await using inspector = await openInspector(browser, node);
    const { page } = inspector;
    await page.getByText('Agents by state').waitFor();
    expect(page.url()).toBe(`${node.url}/inspect/`);
    await page.reload();
    await page.getByText('Agents by state').waitFor();
    await inspector.goto(`#token=${await node.token('viewer', 60_000)}`);
    await page.getByText('local · viewer').waitFor();
    expect(await page.content()).not.toContain('eyJ');
    expect(page.url()).toBe(`${node.url}/inspect/`);
  });

  test('a token that is not taken leads back to the login', async () => {
    await using inspector = await openInspector(browser, node, { role: null });
    const { page } = inspector;
    const [head, payload] = ((await node.token('admin', 60_000)) ?? '').split('.');
    await page.getByLabel('Token').fill(`${head}.${payload}.AAAA`);
    await page.getByLabel('Token').press('Enter');
    await page.getByRole('alert').getByText('does not take this token').waitFor();
    expect(await page.evaluate('sessionStorage.length')).toBe(0);
  });

  test('a viewer cannot act, an admin pauses and resumes an agent', async () => {
    await using viewer = await openInspector(browser, node, { role: 'viewer', at: '#/agents/p-1' });
    await viewer.page.getByRole('heading', { name: 'p-1' }).waitFor();
    expect(await viewer.page.getByRole('button', { name: 'Pause' }).isDisabled()).toBe(true);
    expect(await viewer.page.getByRole('button', { name: 'Stop' }).isDisabled()).toBe(true);
    await using admin = await openInspector(browser, node, { at: '#/agents/p-1' });
    await admin.page.getByRole('button', { name: 'Pause' }).click();
    await admin.page.getByRole('button', { name: 'Resume' }).waitFor();
    expect(await eventually(async () => (await node.runtime.agents.get('p-1')).state === 'paused')).toBe(true);
    await viewer.page.getByText('paused').first().waitFor();
    await admin.page.getByRole('button', { name: 'Resume' }).click();
    await admin.page.getByRole('button', { name: 'Pause' }).waitFor();
    expect([...viewer.faults, ...admin.faults]).toEqual([]);
  });
});

describe('what happens is seen', () => {
  test('an approval is answered where it is asked', async () => {
    const run = await node.runtime.workflows.create(
      { name: 'release', pattern: 'sequential', tasks: [{ id: 'ok', approval: { prompt: 'Publish the report?' } }] },
      undefined,
      { start: true },
    );
    await using inspector = await openInspector(browser, node, { role: 'operator' });
    const { page } = inspector;
    await page.getByText('Publish the report?').waitFor();
    await page.getByRole('button', { name: 'Approve' }).click();
    await page.getByText('Nothing waits').waitFor();
    const ended = await node.runtime.workflows.wait(run.id, { timeoutMs: 10_000 });
    expect([ended.status, inspector.faults]).toEqual(['completed', []]);
  });

  test('the death of a thread, and the restart of its agents', async () => {
    await using tree = await openInspector(browser, node, { at: '#/tree?as=map' });
    await using threads = await openInspector(browser, node, { role: 'viewer', at: '#/threads' });
    await Promise.all([
      tree.page.getByText('Thread 1').waitFor(),
      threads.page.getByText('None since the start').waitFor(),
    ]);
    const victim = (await node.runtime.agents.get('p-1')).thread ?? -1;
    node.runtime.system.killThread(victim);
    const dead = threads.page.getByRole('region', { name: 'Threads that died' }).getByText(`thread ${victim}`);
    await Promise.all([dead.waitFor(), tree.page.locator('.map-cell.flash').first().waitFor()]);
    await eventually(async () => (await node.runtime.agents.get('p-1')).state === 'idle', 'p-1 to be back');
    expect([...tree.faults, ...threads.faults]).toEqual([]);
  });

  test('a CPU profile as a flame graph, with its functions in words', async () => {
    await using inspector = await openInspector(browser, node, { at: '#/threads' });
    const { page } = inspector;
    await page
      .getByRole('button', { name: /^thread \d/ })
      .first()
      .click();
    await page.getByRole('button', { name: 'Take profile' }).click();
    await page.getByRole('region', { name: /^Flame graph/ }).waitFor();
    await page.getByText('Most time in itself').waitFor();
    expect([...inspector.faults, ...(await inspector.accessibilityFaults())]).toEqual([]);
  });

  test('the tree is walked and searched with the keyboard alone', async () => {
    await using inspector = await openInspector(browser, node, { at: '#/tree' });
    const { page } = inspector;
    const tree = page.getByRole('tree', { name: 'Supervision tree' });
    await tree.waitFor();
    await page.getByRole('searchbox').fill('p-13');
    const type = page.getByRole('treeitem', { name: /probe/ }).first();
    await type.waitFor();
    await tree.focus();
    await tree.press('End');
    await tree.press('Enter');
    await page.getByRole('heading', { name: 'p-13' }).waitFor();
    expect(inspector.faults).toEqual([]);
  });
});
