import { describe, expect, test } from 'vitest';
import { capability } from '../../../actors/agent/capability.ts';
import type { TaskContext } from '../../../actors/agent/context.ts';
import { defineAgent } from '../../../actors/agent/define-agent.ts';
import { TaskError, z } from '../../../actors/index.ts';
import type { ActorDefinition, CellBehavior } from '../../../runtime/contracts/actor.ts';
import { RuntimeError } from '../../../runtime/contracts/errors.ts';
import { agentIdOf, askOf, FakeCell, type FakeCellOptions, taskOf, tellOf } from '../../kit/fake-cell.ts';
import { settle } from '../../kit/manual-clock.ts';

const never = new AbortController().signal;

/** A promise that the test resolves: handlers wait on it. */
function gate<T = void>(): { readonly passed: Promise<T>; open(value: T): void } {
  let open: (value: T) => void = () => undefined;
  const passed = new Promise<T>((resolve) => {
    open = resolve;
  });
  return { passed, open: (value) => open(value) };
}

async function started(
  definition: ActorDefinition,
  options: FakeCellOptions = {},
): Promise<{ cell: FakeCell; agent: Required<CellBehavior> }> {
  const cell = new FakeCell(options);
  const agent = definition.create(cell) as Required<CellBehavior>;
  await agent.start();
  return { cell, agent };
}

/** The signal of a cell that keeps the time of an attempt. */
function timeLimit(cell: FakeCell, timeoutMs: number): AbortSignal {
  const controller = new AbortController();
  cell.clock.setTimeout(() => controller.abort(new RuntimeError('task_timeout', 'its time is over')), timeoutMs);
  return controller.signal;
}

const path = (cell: FakeCell): string => ['created', ...cell.transitions.map(({ to }) => to)].join(' ');

/** An agent with one capability that does what the test says. */
function worker(
  handle: (input: { n: number }, ctx: { signal: AbortSignal; attempt: number }) => unknown,
  more: object = {},
): ActorDefinition {
  return defineAgent({
    type: 'worker',
    capabilities: {
      'work.do': capability({
        version: 1,
        input: z.object({ n: z.number() }),
        output: z.object({ doubled: z.number() }),
        handle: handle as (input: { n: number }) => { doubled: number },
      }),
    },
    ...more,
  });
}
const doubling = (more: object = {}) => worker(({ n }) => ({ doubled: n * 2 }), more);

describe('life', () => {
  test('initialises, is idle, runs, is idle, ends', async () => {
    const { cell, agent } = await started(doubling());
    await agent.runTask(taskOf('work.do', { n: 1 }), never);
    await agent.stop();
    expect(path(cell)).toBe('created initializing idle running idle terminated');
    expect(cell.transitions.map(({ cause }) => cause)).toEqual([
      'initialize',
      'ready',
      'taskStarted',
      'taskEnded',
      'terminate',
    ]);
  });

  test('an agent whose init rejects is in error', async () => {
    const definition = doubling({ init: () => Promise.reject(new Error('no disk')) });
    const cell = new FakeCell();
    const agent = definition.create(cell);
    await expect(agent.start()).rejects.toMatchObject({
      code: 'init_failed',
      message: expect.stringContaining('no disk'),
    });
    expect(agent.state()).toBe('error');
    expect(cell.transitions.at(-1)).toMatchObject({ to: 'error', cause: 'crash', error: { code: 'init_failed' } });
  });

  test('a config that does not match is refused with its path, and init never runs', async () => {
    let initialised = false;
    const definition = defineAgent({
      type: 'configured',
      config: z.object({ limits: z.object({ most: z.number() }) }),
      init: () => {
        initialised = true;
      },
    });
    const agent = definition.create(new FakeCell({ config: { limits: { most: 'many' } } }));
    await expect(agent.start()).rejects.toMatchObject({ code: 'config_invalid', details: { path: 'limits.most' } });
    expect(initialised).toBe(false);
  });

  test('terminate runs once at the end, and not after a failed init', async () => {
    const ends: string[] = [];
    const definition = doubling({
      terminate: () => void ends.push('terminate'),
      init: (ctx: { name: string }) => ends.push(ctx.name),
    });
    const { agent } = await started(definition);
    await agent.stop();
    await agent.stop();
    expect(ends).toEqual(['agent-1', 'terminate']);
    const failing = doubling({
      terminate: () => void ends.push('terminate'),
      init: () => Promise.reject(new Error('x')),
    });
    const crashed = failing.create(new FakeCell());
    await expect(crashed.start()).rejects.toThrow();
    await crashed.stop();
    expect(ends).toHaveLength(2);
  });

  test('a terminate that throws is logged, and the agent ends', async () => {
    const definition = doubling({
      terminate: () => {
        throw new Error('cannot let go');
      },
    });
    const { cell, agent } = await started(definition);
    await agent.stop();
    expect(agent.state()).toBe('terminated');
    expect(cell.logs).toMatchObject([{ level: 'error', fields: { error: 'cannot let go' } }]);
  });
});

describe('messages', () => {
  test('a synchronous handler is done when receive returns, without a promise', async () => {
    const added: unknown[] = [];
    const { agent } = await started(
      defineAgent({ type: 'a', on: { add: (message) => void added.push(message.body) } }),
    );
    expect(agent.receive(tellOf('add', 2))).toBeUndefined();
    expect(added).toEqual([2]);
  });

  test.each([
    { name: 'by return', handle: () => 'yes' },
    { name: 'by ctx.reply', handle: (_: unknown, ctx: { reply(body: unknown): unknown }) => void ctx.reply('yes') },
    { name: 'by promise', handle: async () => 'yes' },
    {
      name: 'once only',
      handle: (_: unknown, ctx: { reply(body: unknown): unknown }) => {
        ctx.reply('yes');
        return ctx.reply('no');
      },
    },
  ])('an ask is answered $name', async ({ handle }) => {
    const { cell, agent } = await started(defineAgent({ type: 'a', on: { q: handle } }));
    await agent.receive(askOf('q'));
    expect(cell.replies.map(({ body }) => body)).toEqual(['yes']);
  });

  test('a reply after an await answers its own message', async () => {
    const first = gate<string>();
    const { cell, agent } = await started(
      defineAgent({
        type: 'a',
        on: {
          later: (_message, ctx) => void first.passed.then((body) => ctx.reply(body)),
          now: () => 'now',
        },
      }),
    );
    const [one, two] = [askOf('later'), askOf('now')];
    agent.receive(one);
    agent.receive(two);
    first.open('later');
    await settle();
    expect(cell.replies).toEqual([
      { message: two, body: 'now' },
      { message: one, body: 'later' },
    ]);
  });

  test('what a handler returns for a tell goes nowhere', async () => {
    const { cell, agent } = await started(defineAgent({ type: 'a', on: { q: () => 'yes' } }));
    await agent.receive(tellOf('q'));
    expect(cell.replies).toEqual([]);
  });

  test('without a handler a tell is a dead letter, and an ask hears of it too', async () => {
    const { cell, agent } = await started(defineAgent({ type: 'a', on: { known: () => 1 } }));
    agent.receive(tellOf('unknown'));
    agent.receive(askOf('unknown'));
    expect(cell.deadLetters.map(({ reason }) => reason)).toEqual(['no_handler', 'no_handler']);
    expect(cell.errorReplies).toMatchObject([{ error: { code: 'no_handler', details: { known: ['known'] } } }]);
  });

  test.each([
    {
      name: 'throws',
      handle: () => {
        throw new TaskError('no_luck', 'not today');
      },
    },
    { name: 'rejects', handle: async () => Promise.reject(new TaskError('no_luck', 'not today')) },
  ])('a handler that $name replies the error, is logged, and the agent lives', async ({ handle }) => {
    const { cell, agent } = await started(defineAgent({ type: 'a', on: { bad: handle, good: () => 'fine' } }));
    await agent.receive(askOf('bad'));
    await agent.receive(tellOf('bad'));
    await agent.receive(askOf('good'));
    expect(cell.errorReplies).toMatchObject([{ error: { code: 'no_luck', message: 'not today' } }]);
    expect(cell.logs).toHaveLength(2);
    expect(cell.replies).toMatchObject([{ body: 'fine' }]);
    expect(agent.state()).toBe('idle');
    expect(cell.failures).toEqual([]);
  });

  test('a body that does not match its schema is refused with its path', async () => {
    const handled: unknown[] = [];
    const definition = defineAgent({
      type: 'a',
      on: { add: { input: z.object({ items: z.array(z.number()) }), handle: (body) => void handled.push(body) } },
    });
    const { cell, agent } = await started(definition);
    await agent.receive(askOf('add', { items: [1, 'two'] }));
    await agent.receive(tellOf('add', {}));
    await agent.receive(tellOf('add', { items: [3], more: true }));
    expect(cell.errorReplies).toMatchObject([{ error: { code: 'invalid_input', details: { path: 'items[1]' } } }]);
    expect(cell.deadLetters).toMatchObject([{ reason: 'filtered' }]);
    expect(handled).toEqual([{ items: [3] }]);
  });

  test('a schema with an asynchronous refinement is awaited', async () => {
    const definition = defineAgent({
      type: 'a',
      on: { q: { input: z.string().refine(async (text) => text !== 'bad'), handle: (text) => text } },
    });
    const { cell, agent } = await started(definition);
    await agent.receive(askOf('q', 'good'));
    await agent.receive(askOf('q', 'bad'));
    expect(cell.replies).toMatchObject([{ body: 'good' }]);
    expect(cell.errorReplies).toMatchObject([{ error: { code: 'invalid_input' } }]);
  });
});

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

describe('configure', () => {
  test('refuses a capability the type does not have, naming those it has', async () => {
    const { agent } = await started(doubling());
    const configured = async () => agent.signal({ type: 'configure', capabilities: ['work.undo'] });
    await expect(configured()).rejects.toMatchObject({ code: 'unknown_capability', details: { known: ['work.do'] } });
  });

  test('changes the config that handlers see, or refuses it and changes nothing', async () => {
    const definition = defineAgent({
      type: 'a',
      config: z.object({ limit: z.number().default(3) }),
      on: { limit: (_message, ctx) => ctx.config.limit },
    });
    const { cell, agent } = await started(definition);
    const configure = async (config: Record<string, unknown>) => agent.signal({ type: 'configure', config });
    agent.receive(askOf('limit'));
    await configure({ limit: 9 });
    agent.receive(askOf('limit'));
    await expect(configure({ limit: 'none' })).rejects.toMatchObject({
      code: 'config_invalid',
      details: { path: 'limit' },
    });
    agent.receive(askOf('limit'));
    expect(cell.replies.map(({ body }) => body)).toEqual([3, 9, 9]);
  });
});

describe('pause', () => {
  test('keeps messages until the resume, in order', async () => {
    const handled: unknown[] = [];
    const { cell, agent } = await started(
      defineAgent({ type: 'a', on: { m: (message) => void handled.push(message.body) } }),
    );
    agent.signal({ type: 'pause' });
    const waiting = [1, 2].map((n) => agent.receive(tellOf('m', n)));
    await settle();
    expect(handled).toEqual([]);
    agent.signal({ type: 'resume' });
    await Promise.all(waiting);
    expect(handled).toEqual([1, 2]);
    expect(path(cell)).toBe('created initializing idle paused idle');
  });

  test('of a running agent waits for its task; messages are handled until then', async () => {
    const slow = gate<{ doubled: number }>();
    const { cell, agent } = await started(worker(() => slow.passed, { on: { ping: () => 'pong' } }));
    const running = agent.runTask(taskOf('work.do', { n: 1 }), never);
    agent.signal({ type: 'pause' });
    agent.receive(askOf('ping'));
    expect(cell.replies).toHaveLength(1);
    expect(agent.state()).toBe('running');
    slow.open({ doubled: 2 });
    expect((await running).type).toBe('completed');
    expect(agent.state()).toBe('paused');
    expect(path(cell)).toBe('created initializing idle running paused');
  });

  test('twice is an illegal transition that names both', async () => {
    const { agent } = await started(doubling());
    agent.signal({ type: 'pause' });
    expect(() => agent.signal({ type: 'pause' })).toThrowError(
      expect.objectContaining({ code: 'illegal_transition', details: { from: 'paused', event: 'pause' } }),
    );
  });

  test('is kept over a restart', async () => {
    const { cell, agent } = await started(doubling(), { paused: true });
    expect(path(cell)).toBe('created initializing paused');
    expect((await agent.runTask(taskOf('work.do', { n: 1 }), never)).type).toBe('released');
  });
});

describe('messages during a task', () => {
  const during = (more: object) => {
    const step = gate<{ doubled: number }>();
    return { step, definition: worker(() => step.passed, { on: { ping: () => 'pong' }, ...more }) };
  };

  test('are handled between its awaits', async () => {
    const { step, definition } = during({});
    const { cell, agent } = await started(definition);
    const running = agent.runTask(taskOf('work.do', { n: 1 }), never);
    agent.receive(askOf('ping'));
    expect(cell.replies).toHaveLength(1);
    step.open({ doubled: 2 });
    await running;
  });

  test('wait for its end under deferWhileRunning', async () => {
    const { step, definition } = during({ deferWhileRunning: true });
    const { cell, agent } = await started(definition);
    const running = agent.runTask(taskOf('work.do', { n: 1 }), never);
    const waiting = agent.receive(askOf('ping'));
    await settle();
    expect(cell.replies).toEqual([]);
    step.open({ doubled: 2 });
    await running;
    await waiting;
    expect(cell.replies).toHaveLength(1);
    expect(agent.receive(askOf('ping'))).toBeUndefined();
  });
});

describe('durable state', () => {
  const counter = defineAgent({
    type: 'counter',
    state: { count: 0, tags: ['a'] },
    capabilities: {
      'count.up': capability({
        version: 1,
        input: z.object({ by: z.number(), fail: z.boolean().default(false) }),
        output: z.unknown(),
        handle({ by, fail }, ctx) {
          const state = ctx.state as { count: number; tags: string[] };
          if (by > 0) ctx.state = { ...state, count: state.count + by };
          if (fail) throw new TaskError('told_to', 'fails');
          return {};
        },
      }),
    },
    on: {
      read: (_message, ctx) => ctx.state,
      save: (_message, ctx) => ctx.save(),
      tag: (_message, ctx) => void ctx.state.tags.push('b'),
      inPlace: (_message, ctx) => {
        (ctx.state as { count: number }).count++;
      },
    },
  });
  const up = (by: number, fail = false) => taskOf('count.up', { by, fail });

  test('goes with the outcome when it has changed, and only then', async () => {
    const { agent } = await started(counter);
    expect(await agent.runTask(up(2), never)).toMatchObject({ snapshot: { state: { count: 2 } } });
    expect(await agent.runTask(up(0), never)).not.toHaveProperty('snapshot');
  });

  test('changed in a failed attempt goes with the next completed one', async () => {
    const { agent } = await started(counter);
    expect(await agent.runTask(up(2, true), never)).not.toHaveProperty('snapshot');
    expect(await agent.runTask(up(0), never)).toMatchObject({ snapshot: { state: { count: 2 } } });
  });

  test('comes back in the next incarnation, through JSON', async () => {
    const { agent } = await started(counter);
    await agent.runTask(up(5), never);
    const restored = JSON.parse(JSON.stringify(agent.snapshot()));
    const next = await started(counter, { restored });
    next.agent.receive(askOf('read'));
    expect(next.cell.replies[0]?.body).toEqual({ count: 5, tags: ['a'] });
  });

  test('of one agent is not that of another of its type', async () => {
    const [one, two] = [await started(counter), await started(counter)];
    await one.agent.runTask(up(5), never);
    one.agent.receive(tellOf('tag'));
    two.agent.receive(askOf('read'));
    expect(two.cell.replies[0]?.body).toEqual({ count: 0, tags: ['a'] });
  });

  test('cannot be changed in place', async () => {
    const { cell, agent } = await started(counter);
    agent.receive(askOf('inPlace'));
    expect(cell.errorReplies).toHaveLength(1);
    agent.receive(askOf('read'));
    expect(cell.replies[0]?.body).toMatchObject({ count: 0 });
  });

  test('is written by save, and still to be written when that failed', async () => {
    let broken = true;
    const onRequest = () => {
      if (broken) throw new RuntimeError('store_unavailable', 'down');
    };
    const { cell, agent } = await started(counter, { onRequest });
    await agent.runTask(up(1, true), never);
    await agent.receive(askOf('save'));
    expect(cell.errorReplies).toMatchObject([{ error: { code: 'store_unavailable' } }]);
    expect(cell.requests).toMatchObject([{ type: 'agent.save', snapshot: { state: { count: 1 } } }]);
    broken = false;
    await agent.receive(askOf('save'));
    expect(await agent.runTask(up(0), never)).not.toHaveProperty('snapshot');
  });

  test('never holds a running handler', async () => {
    const slow = gate<{ doubled: number }>();
    const { agent } = await started(worker(() => slow.passed, { state: { a: 1 } }));
    const running = agent.runTask(taskOf('work.do', { n: 1 }), never);
    expect(agent.snapshot()).toEqual({ state: { a: 1 } });
    slow.open({ doubled: 2 });
    await running;
  });
});

describe('events of its own life', () => {
  test('task.completed fires 100 of 100, in order, though the handler throws', async () => {
    const seen: unknown[] = [];
    const definition = doubling({
      events: {
        'task.completed': (event: { result: { doubled: number } }) => {
          seen.push(event.result.doubled / 2);
          throw new Error('a bug');
        },
      },
    });
    const { cell, agent } = await started(definition);
    for (let n = 0; n < 100; n++) expect((await agent.runTask(taskOf('work.do', { n }), never)).type).toBe('completed');
    expect(seen).toEqual(Array.from({ length: 100 }, (_, n) => n));
    expect(cell.logs).toHaveLength(100);
    expect(agent.state()).toBe('idle');
  });

  test('each kind reaches its handler', async () => {
    const seen: string[] = [];
    const note = (name: string) => () => void seen.push(name);
    const kinds = [
      'task.started',
      'task.completed',
      'task.failed',
      'task.cancelled',
      'paused',
      'resumed',
      'configured',
      'timer',
      'undelivered',
      'terminated',
      'task-event',
    ];
    const { cell, agent } = await started(
      worker(
        ({ n }) => {
          if (n < 0) throw new Error('negative');
          return { doubled: n * 2 };
        },
        { events: Object.fromEntries(kinds.map((kind) => [kind, note(kind)])) },
      ),
    );
    await agent.runTask(taskOf('work.do', { n: 1 }), never);
    await agent.runTask(taskOf('work.do', { n: -1 }), never);
    await agent.runTask(taskOf('work.do', { n: 1 }), AbortSignal.abort());
    agent.signal({ type: 'pause' });
    agent.signal({ type: 'timer', key: 'k', body: 1 });
    agent.signal({ type: 'resume' });
    await agent.signal({ type: 'configure', config: {} });
    agent.signal({ type: 'terminated', id: cell.id, reason: 'crashed' });
    agent.signal({ type: 'task-event', event: 'e', body: 1 });
    agent.signal({
      type: 'undelivered',
      letter: { reason: 'mailbox_full', to: 'x', type: 't', body: 1, messageId: 'm', atMs: 0 },
    });
    expect(seen).toEqual([
      'task.started',
      'task.completed',
      'task.started',
      'task.failed',
      'task.started',
      'task.cancelled',
      'paused',
      'timer',
      'resumed',
      'configured',
      'terminated',
      'task-event',
      'undelivered',
    ]);
  });
});

test('metrics add up, in all and by capability', async () => {
  const { cell, agent } = await started(
    worker(async ({ n }, { signal }) => {
      if (n < 0) throw new Error('negative');
      if (n > 0) await new Promise((_resolve, reject) => signal.addEventListener('abort', () => reject(signal.reason)));
      return { doubled: 0 };
    }),
  );
  const run = (n: number, signal = never) => agent.runTask(taskOf('work.do', { n }), signal);
  await run(0);
  await run(0);
  await run(-1);
  const timed = run(1, timeLimit(cell, 100));
  expect(agent.metrics()).toMatchObject({ started: 4, completed: 2, failed: 1, running: 1 });
  await cell.clock.advanceAsync(100);
  await timed;
  await agent.runTask(taskOf('work.do', { n: 1 }), AbortSignal.abort());
  await agent.runTask(taskOf('work.undo'), never);
  const metrics = agent.metrics();
  expect(metrics).toMatchObject({ started: 5, completed: 2, failed: 1, timedOut: 1, cancelled: 1, running: 0 });
  expect(metrics.byCapability).toMatchObject({ 'work.do': { completed: 2, failed: 3 } });
  expect(Math.abs(metrics.p95Ms - 100)).toBeLessThan(5);
});

test('the context does what it says through the cell', async () => {
  const other = agentIdOf(5);
  const definition = defineAgent({
    type: 'a',
    capabilities: {
      'work.all': capability({
        version: 1,
        input: z.unknown(),
        output: z.unknown(),
        async handle(_input, ctx) {
          ctx.progress({ share: 0.5 });
          ctx.tell(other, 'hello', 1);
          ctx.log.info('at work', { key: ctx.idempotencyKey });
          await ctx.publish('news', 'item', { a: 1 });
          await ctx.subscribe('news');
          await ctx.watch(other);
          await ctx.timer.set('later', 500, { b: 1 });
          await ctx.timer.clear('later');
          const child = await ctx.agents.spawn('worker', { name: 'w' });
          const { id } = await ctx.tasks.submit({ capability: 'work.do' });
          const done = await ctx.tasks.result(id);
          return { child, done, answer: await ctx.ask(other, 'q', 2), found: await ctx.agents.find('work.do') };
        },
      }),
    },
  });
  const answers: Record<string, unknown> = {
    'agent.spawn': other,
    'task.submit': { id: 'task-1' },
    'task.result': { status: 'completed' },
    'agent.find': [other],
  };
  const { cell, agent } = await started(definition, {
    onRequest: ({ type }) => answers[type],
    onAsk: (_to, type, body) => ({ type, body }),
  });
  const outcome = await agent.runTask(taskOf('work.all', undefined, { fence: 3 }), never);
  expect(outcome).toMatchObject({
    result: {
      child: other,
      done: { status: 'completed' },
      answer: { type: 'q', body: 2 },
      found: [other],
    },
  });
  expect(cell.told).toEqual([{ to: other, type: 'hello', body: 1 }]);
  expect(cell.logs).toEqual([{ level: 'info', message: 'at work', fields: { key: 'key-1' } }]);
  expect(cell.requests.map(({ type }) => type)).toEqual([
    'task.progress',
    'publish',
    'subscribe',
    'watch',
    'timer.set',
    'timer.clear',
    'agent.spawn',
    'task.submit',
    'task.result',
    'agent.find',
  ]);
  expect(cell.requests[0]).toMatchObject({ fence: 3, progress: { share: 0.5 } });
});
