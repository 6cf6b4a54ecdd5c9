// Handlers that ask people, over real threads and a real store: the slot is free meanwhile, and the answer runs the handler again.

import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Troupe } from '../../runtime/index.ts';
import { eventually } from '../kit/eventually.ts';
import { testTroupe } from '../kit/troupe.ts';

const inquirer = fileURLToPath(new URL('../kit/actors/inquirer.ts', import.meta.url));

let troupe: Troupe;
beforeAll(async () => {
  troupe = await testTroupe({ threads: 1, agentRoots: [inquirer] });
  await troupe.agents.spawn('inquirer', { name: 'ann' });
});
afterAll(() => troupe.stop());

const start = (input: unknown, more: object = {}) =>
  troupe.tasks.start({ capability: 'inquirer.do', input, retry: { maxAttempts: 1 }, ...more });
const waiting = (id: string, question = 0) =>
  eventually(async () => {
    const view = await troupe.tasks.get(id);
    return view.status === 'waiting' && view.question?.question === question && view;
  });

test('the task waits, uncharged and without a slot, and its handler runs again with each answer', async () => {
  const handle = await start({ prompts: ['how many?', 'and now?'] });
  const view = await waiting(handle.id);
  expect(view).toMatchObject({
    attempt: 0,
    question: { kind: 'input', prompt: 'how many?', schema: { type: 'number' }, state: 'open' },
  });
  expect(await troupe.tasks.inputs()).toMatchObject([
    { taskId: handle.id, answerAt: `/api/agents/tasks/${handle.id}/input` },
  ]);
  // The only agent is free for others.
  expect(await (await start({ prompts: [] })).result()).toEqual({ answers: [], attempt: 1 });

  await expect(troupe.tasks.answer(handle.id, { value: 'many' })).rejects.toMatchObject({ code: 'invalid_input' });
  await expect(troupe.tasks.answer(handle.id, { value: 1, question: 1 })).rejects.toMatchObject({
    code: 'input_closed',
  });
  await troupe.tasks.answer(handle.id, { value: 3, question: 0 });
  await waiting(handle.id, 1);
  await expect(troupe.tasks.answer(handle.id, { value: 3, question: 0 })).rejects.toMatchObject({
    code: 'input_closed',
  });
  await troupe.tasks.answer(handle.id, { value: 4 });
  expect(await handle.result()).toEqual({ answers: [3, 4], attempt: 1 });
  const ended = await troupe.tasks.get(handle.id);
  expect(ended.attempts?.map(({ outcome }) => outcome)).toEqual(['waiting', 'waiting', 'completed']);
  expect(ended).toMatchObject({ attempt: 1, usage: { tokens: 3 } });
  expect(ended).not.toHaveProperty('question');
  await expect(troupe.tasks.answer(handle.id, { value: 5 })).rejects.toMatchObject({ code: 'input_not_found' });
  const types: string[] = [];
  for await (const { type } of troupe.events.stream(handle.id, { signal: AbortSignal.timeout(20_000) }))
    types.push(type);
  expect(types.filter((type) => /waiting|answered|completed/.test(type))).toEqual([
    'task.waiting',
    'task.answered',
    'task.waiting',
    'task.answered',
    'task.completed',
  ]);
});

test('nobody answers in time: the handler hears of it, and decides', async () => {
  const lenient = await start({ expiresMs: 200, otherwise: 7 });
  expect(await lenient.result()).toMatchObject({ answers: [7] });
  const strict = await start({ expiresMs: 200 });
  await expect(strict.result()).rejects.toMatchObject({ code: 'input_expired' });
  expect(await troupe.tasks.inputs()).toEqual([]);
});

test('a handler that catches what is thrown waits all the same', async () => {
  const handle = await start({ swallow: true });
  await waiting(handle.id);
  await troupe.tasks.answer(handle.id, { value: 1 });
  expect(await handle.result()).toMatchObject({ answers: [1] });
});

test('a task that waits can be cancelled, and its deadline goes on', async () => {
  const cancelled = await start({});
  await waiting(cancelled.id);
  expect(await troupe.tasks.cancel(cancelled.id)).toMatchObject({ outcome: 'before_start' });
  const late = await start({}, { deadlineMs: 1_500 });
  await waiting(late.id);
  await expect(late.result()).rejects.toMatchObject({ code: 'deadline_exceeded' });
  expect(await troupe.tasks.inputs()).toEqual([]);
});

test('what is no question fails the task at once', async () => {
  const handle = await start({ prompts: [''] });
  await expect(handle.result()).rejects.toMatchObject({ code: 'invalid_input' });
});

test('two answers at once: one of them counts', async () => {
  const handle = await start({});
  await waiting(handle.id);
  const answers = await Promise.allSettled([1, 2].map((value) => troupe.tasks.answer(handle.id, { value })));
  expect(answers.map(({ status }) => status).sort()).toEqual(['fulfilled', 'rejected']);
  expect([[1], [2]]).toContainEqual(((await handle.result()) as { answers: unknown }).answers);
});

describe('a question of a step of a run', () => {
  const ask = { id: 'ask', capability: 'inquirer.do', input: {} };
  const opened = (id: string) =>
    eventually(async () => {
      const open = await troupe.workflows.inputs({ workflowId: id });
      return open.length > 0 && open;
    });

  test('is listed under its run and every run above it, and under nobody else', async () => {
    const above = await troupe.workflows.run({ tasks: [{ id: 'inner', workflow: { tasks: [ask] } }] });
    const [asked] = await opened(above.id);
    const path = `/api/agents/workflows/${asked?.workflowId}/inputs/ask`;
    expect(asked).toMatchObject({
      rootId: above.id,
      step: 'ask',
      round: 0,
      kind: 'input',
      state: 'open',
      answerAt: path,
    });
    expect(asked?.workflowId).not.toBe(above.id);
    expect(await troupe.workflows.inputs({ workflowId: asked?.workflowId ?? '', state: 'open' })).toEqual([asked]);
    expect(await troupe.workflows.inputs({ workflowId: above.id, state: 'answered' })).toEqual([]);
    expect(await troupe.workflows.inputs({})).toEqual([asked]);

    const alone = await start({});
    await waiting(alone.id);
    expect(await troupe.workflows.inputs({})).toEqual([asked]);
    expect(await troupe.tasks.inputs({ ofSteps: false })).toMatchObject([{ taskId: alone.id }]);
    expect(await troupe.tasks.inputs()).toHaveLength(2);
    await alone.answer(1);

    // The step of the run above is a run, and asks nothing itself.
    await expect(above.answer('inner', { value: 1 })).rejects.toMatchObject({ code: 'input_not_found' });
    await troupe.workflows.answer(asked?.workflowId ?? '', 'ask', { value: 5 });
    expect((await above.result()).output).toMatchObject({ inner: { ask: { answers: [5] } } });
    expect(await troupe.workflows.inputs({ workflowId: above.id })).toEqual([]);
  });

  test('is answered at its step: once, with what fits', async () => {
    const run = await troupe.workflows.run({ tasks: [ask] });
    await opened(run.id);
    await expect(run.answer('ask', { value: 'many' })).rejects.toMatchObject({ code: 'invalid_input' });
    await expect(run.answer('ask', { approved: true })).rejects.toMatchObject({ code: 'invalid_input' });
    await expect(run.answer('ask', { value: 1, round: 3 })).rejects.toMatchObject({ code: 'input_closed' });
    const given = await Promise.allSettled([run.answer('ask', { value: 1 }), run.answer('ask', { value: 2 })]);
    const [taken] = given.flatMap((one) => (one.status === 'fulfilled' ? [one.value] : []));
    expect(given.map(({ status }) => status).sort()).toEqual(['fulfilled', 'rejected']);
    expect(taken).toMatchObject({ workflowId: run.id, step: 'ask', state: 'answered' });
    expect((await run.result()).output).toMatchObject({ ask: { answers: [taken?.value] } });
    await expect(run.answer('ask', { value: 3 })).rejects.toMatchObject({ code: 'input_not_found' });
  });
});

test('a step of a workflow waits, and the run goes on with the answer', async () => {
  const { id } = await troupe.workflows.create(
    { tasks: [{ id: 'ask', capability: 'inquirer.do', input: {} }], budget: { tokens: 50 } },
    undefined,
    { start: true },
  );
  const task = await eventually(async () => {
    const [open] = await troupe.tasks.inputs();
    return open?.taskId;
  });
  expect((await troupe.workflows.get(id)).tasks).toMatchObject([{ id: 'ask', state: 'waiting' }]);
  await troupe.tasks.answer(task, { value: 2 });
  const view = await troupe.workflows.wait(id, { timeoutMs: 30_000 });
  expect(view).toMatchObject({ status: 'completed', budget: { used: { tokens: 2, calls: 1 } } });
});
