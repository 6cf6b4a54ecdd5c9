import { describe, expect, test } from 'vitest';
import { capability } from '../../../actors/agent/capability.ts';
import { defineAgent } from '../../../actors/agent/define-agent.ts';
import { TaskError, z } from '../../../actors/index.ts';
import { agentIdOf, askOf, FakeCell, taskOf, tellOf } from '../../kit/fake-cell.ts';
import { settle } from '../../kit/manual-clock.ts';
import { doubling, gate, path, started, timeLimit, worker } from '../../kit/worker-agent.ts';

const never = new AbortController().signal;

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
  expect(cell.logs).toEqual([
    {
      level: 'info',
      message: 'at work',
      fields: { key: 'key-1' },
      about: { taskId: expect.stringMatching(/^tsk_/), attempt: 1 },
    },
  ]);
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
