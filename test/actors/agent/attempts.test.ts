import { describe, expect, test } from 'vitest';
import type { TaskContext } from '../../../actors/agent/context.ts';
import { TaskError } from '../../../actors/index.ts';
import type { CellBehavior } from '../../../runtime/contracts/actor.ts';
import { RuntimeError } from '../../../runtime/contracts/errors.ts';
import { agentIdOf, FakeCell, taskOf } from '../../kit/fake-cell.ts';
import { settle } from '../../kit/manual-clock.ts';
import { doubling, gate, path, started, timeLimit, worker } from '../../kit/worker-agent.ts';

const never = new AbortController().signal;

describe('what an attempt used', () => {
  type Handler = (input: { n: number }, ctx: TaskContext) => unknown;
  const used = { tokens: 12, cost: 0.5 };
  const spend: Handler = (_input, ctx) => {
    ctx.usage({ tokens: 5 });
    ctx.usage({ tokens: 7, cost: 0.5 });
    ctx.usage({ tokens: 0, messages: undefined });
  };
  const run = async (handle: Handler, signal = never) => {
    const { cell, agent } = await started(worker(handle as Parameters<typeof worker>[0]));
    const running = agent.runTask(taskOf('work.do', { n: 1 }), signal);
    await cell.clock.advanceAsync(10);
    return running;
  };

  test.each<[string, Handler, string]>([
    ['completed', () => ({ doubled: 2 }), 'completed'],
    ['failed', () => Promise.reject(new Error('no')), 'failed'],
    ['failed by its result', () => 'no result', 'failed'],
    ['handed on', (_input, ctx) => ctx.handoff('ada'), 'handed_off'],
  ])('is the sum of its reports, %s', async (_name, end, type) => {
    const outcome = await run((input, ctx) => {
      spend(input, ctx);
      return end(input, ctx);
    });
    expect(outcome).toMatchObject({ type, usage: used });
  });

  test('goes with an attempt that is aborted', async () => {
    const stop = new AbortController();
    const running = run(async (input, ctx) => {
      spend(input, ctx);
      stop.abort();
      await ctx.sleep(1);
    }, stop.signal);
    expect(await running).toMatchObject({ type: 'cancelled', usage: used });
  });

  test('has its messages, with those it reported of others', async () => {
    const outcome = await run(async (_input, ctx) => {
      ctx.tell(agentIdOf(2), 'a');
      await ctx.tellConfirmed(agentIdOf(2), 'a');
      await ctx.ask(agentIdOf(2), 'a');
      await ctx.publish('topic', 'a');
      ctx.usage({ messages: 3 });
      return { doubled: 2 };
    });
    expect(outcome).toMatchObject({ type: 'completed', usage: { messages: 7 } });
  });

  test('is not there when nothing was used', async () => {
    expect(
      await run((_input, ctx) => {
        ctx.usage({ tokens: 0, cost: 0 });
        return { doubled: 2 };
      }),
    ).not.toHaveProperty('usage');
  });

  test.each([{ tokens: -1 }, { tokens: 0.5 }, { cost: Number.POSITIVE_INFINITY }, { messages: '1' }, { calls: 1 }])(
    'cannot be %o: the attempt fails, and what it had reported counts',
    async (wrong) => {
      const outcome = await run((input, ctx) => {
        spend(input, ctx);
        ctx.usage(wrong as object);
        return { doubled: 2 };
      });
      expect(outcome).toMatchObject({ type: 'failed', error: { code: 'invalid_input' }, usage: used });
    },
  );
});

describe('outcomes of a task', () => {
  test('completed, with the parsed result', async () => {
    const { agent } = await started(worker(({ n }) => ({ doubled: n * 2, secret: 'dropped' })));
    expect(await agent.runTask(taskOf('work.do', { n: 4 }), never)).toEqual({
      type: 'completed',
      result: { doubled: 8 },
      runMs: 0,
    });
  });

  test.each([
    {
      name: 'a TaskError',
      thrown: new TaskError('no_luck', 'm', { details: { a: 1 } }),
      error: { code: 'no_luck', retryable: true, details: { a: 1 } },
    },
    {
      name: 'a TaskError that no retry can help',
      thrown: new TaskError('no_luck', 'm', { retryable: false }),
      error: { code: 'no_luck', retryable: false },
    },
    {
      name: 'any error',
      thrown: new Error('boom'),
      error: { code: 'handler_failed', message: 'boom', retryable: true },
    },
    {
      name: 'a system error',
      thrown: Object.assign(new Error('refused'), { code: 'ECONNREFUSED' }),
      error: { code: 'ECONNREFUSED', retryable: true },
    },
    {
      name: 'a runtime error',
      thrown: new RuntimeError('no_handler', 'm'),
      error: { code: 'no_handler', retryable: false },
    },
    {
      name: 'a text',
      thrown: 'just a text',
      error: { code: 'handler_failed', message: 'just a text', retryable: true },
    },
    { name: 'nothing', thrown: undefined, error: { code: 'handler_failed', retryable: true } },
  ])('failed by $name', async ({ thrown, error }) => {
    const { agent } = await started(
      worker(() => {
        throw thrown;
      }),
    );
    expect(await agent.runTask(taskOf('work.do', { n: 1 }), never)).toMatchObject({ type: 'failed', error });
    expect(agent.state()).toBe('idle');
  });

  test('failed for good by an input that does not match, with its path, and the handler never runs', async () => {
    let ran = false;
    const { agent } = await started(
      worker(() => {
        ran = true;
      }),
    );
    const outcome = await agent.runTask(taskOf('work.do', { n: 'four' }), never);
    expect(outcome).toMatchObject({
      type: 'failed',
      error: { code: 'invalid_input', retryable: false, details: { path: 'n' } },
    });
    expect(ran).toBe(false);
  });

  test('failed for good by a result that does not match', async () => {
    const { agent } = await started(worker(() => ({ doubled: 'much' })));
    const outcome = await agent.runTask(taskOf('work.do', { n: 1 }), never);
    expect(outcome).toMatchObject({
      type: 'failed',
      error: { code: 'invalid_output', retryable: false, details: { path: 'doubled' } },
    });
  });

  const untilAborted = worker(
    (_input, { signal }) =>
      new Promise((_resolve, reject) => signal.addEventListener('abort', () => reject(signal.reason))),
  );

  test('timed out when its time is over and the handler obeys', async () => {
    const { cell, agent } = await started(untilAborted);
    const running = agent.runTask(taskOf('work.do', { n: 1 }), timeLimit(cell, 200));
    await cell.clock.advanceAsync(200);
    expect(await running).toEqual({ type: 'timed_out', runMs: 200 });
  });

  test('cancelled when the cell aborts', async () => {
    const { cell, agent } = await started(untilAborted);
    const stop = new AbortController();
    const running = agent.runTask(taskOf('work.do', { n: 1 }), stop.signal);
    await cell.clock.advanceAsync(5);
    stop.abort();
    expect(await running).toEqual({ type: 'cancelled', runMs: 5 });
    expect(cell.clock.pending).toBe(0);
  });

  test('cancelled before it began: the handler never runs', async () => {
    let ran = false;
    const { agent } = await started(
      worker(() => {
        ran = true;
      }),
    );
    expect((await agent.runTask(taskOf('work.do', { n: 1 }), AbortSignal.abort())).type).toBe('cancelled');
    expect(ran).toBe(false);
  });

  test('a result that comes after the abort does not count', async () => {
    const slow = gate<{ doubled: number }>();
    const { agent } = await started(worker(() => slow.passed));
    const stop = new AbortController();
    const running = agent.runTask(taskOf('work.do', { n: 1 }), stop.signal);
    await settle();
    stop.abort();
    slow.open({ doubled: 2 });
    expect((await running).type).toBe('cancelled');
  });

  test('a handler that ignores its signal is still waited for', async () => {
    const slow = gate<{ doubled: number }>();
    const { cell, agent } = await started(worker(() => slow.passed));
    let ended = false;
    const running = agent.runTask(taskOf('work.do', { n: 1 }), timeLimit(cell, 10)).finally(() => {
      ended = true;
    });
    await cell.clock.advanceAsync(1_000);
    expect(ended).toBe(false);
    expect(agent.state()).toBe('running');
    slow.open({ doubled: 2 });
    expect((await running).type).toBe('timed_out');
  });

  test.each([
    { name: 'a name it does not have', task: taskOf('work.undo', {}) },
    { name: 'another major version', task: taskOf('work.do', { n: 1 }, { version: 2 }) },
  ])('failed by $name', async ({ task }) => {
    const { agent } = await started(doubling());
    expect(await agent.runTask(task, never)).toMatchObject({
      type: 'failed',
      error: { code: 'unknown_capability', retryable: false },
    });
  });
});

describe('released, never started', () => {
  test('while paused, and while it is about to be', async () => {
    const slow = gate<{ doubled: number }>();
    const { agent } = await started(worker(() => slow.passed, { concurrency: 2 }));
    const running = agent.runTask(taskOf('work.do', { n: 1 }), never);
    agent.signal({ type: 'pause' });
    expect(await agent.runTask(taskOf('work.do', { n: 1 }), never)).toEqual({ type: 'released', reason: 'pausing' });
    slow.open({ doubled: 1 });
    await running;
    expect(await agent.runTask(taskOf('work.do', { n: 1 }), never)).toEqual({ type: 'released', reason: 'paused' });
  });

  test('beyond its concurrency', async () => {
    const slow = gate<{ doubled: number }>();
    const { cell, agent } = await started(worker(() => slow.passed, { concurrency: 2 }));
    const both = [1, 2].map((n) => agent.runTask(taskOf('work.do', { n }), never));
    expect(await agent.runTask(taskOf('work.do', { n: 3 }), never)).toEqual({ type: 'released', reason: 'busy' });
    slow.open({ doubled: 1 });
    expect((await Promise.all(both)).map(({ type }) => type)).toEqual(['completed', 'completed']);
    expect(path(cell)).toBe('created initializing idle running idle');
  });

  test('before it is initialised and after its end', async () => {
    const agent = doubling().create(new FakeCell()) as Required<CellBehavior>;
    expect(await agent.runTask(taskOf('work.do', { n: 1 }), never)).toEqual({ type: 'released', reason: 'created' });
    await agent.start();
    await agent.stop();
    expect(await agent.runTask(taskOf('work.do', { n: 1 }), never)).toEqual({ type: 'released', reason: 'terminated' });
  });

  test('for a capability that was taken away at run time, until it is given back', async () => {
    const { agent } = await started(doubling(), { capabilities: [] });
    const run = () => agent.runTask(taskOf('work.do', { n: 1 }), never);
    expect(await run()).toEqual({ type: 'released', reason: 'capability_removed' });
    await agent.signal({ type: 'configure', capabilities: ['work.do'] });
    expect((await run()).type).toBe('completed');
    await agent.signal({ type: 'configure', capabilities: [] });
    expect((await run()).type).toBe('released');
  });
});
