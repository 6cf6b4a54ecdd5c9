import { describe, expect, test } from 'vitest';
import { assign, createActor, createMachine, fromCallback, fromPromise, fromTransition, setup } from 'xstate';
import { messageOf, portOf, replyWith, tellWith } from '../../../actors/agent/actor-port.ts';
import { defineActor } from '../../../actors/agent/define-actor.ts';
import type { ActorDefinition, CellBehavior } from '../../../runtime/contracts/actor.ts';
import { RuntimeError } from '../../../runtime/contracts/errors.ts';
import { agentIdOf, askOf, FakeCell, type FakeCellOptions, tellOf } from '../../kit/fake-cell.ts';
import { settle } from '../../kit/manual-clock.ts';

async function started(
  definition: ActorDefinition,
  options: FakeCellOptions = {},
): Promise<{ cell: FakeCell; actor: CellBehavior }> {
  const cell = new FakeCell(options);
  const actor = definition.create(cell);
  await actor.start();
  return { cell, actor };
}

const door = createMachine({
  id: 'door',
  initial: 'closed',
  context: { opened: 0 },
  types: {} as {
    context: { opened: number };
    events: { type: 'open' } | { type: 'close' } | { type: 'ask' } | { type: 'burn' };
  },
  on: {
    ask: { actions: replyWith(({ context }) => context.opened) },
    burn: '.ashes',
  },
  states: {
    closed: { on: { open: { target: 'opened', actions: assign({ opened: ({ context }) => context.opened + 1 }) } } },
    opened: { on: { close: 'closed' } },
    ashes: { type: 'final' },
  },
  output: ({ context }) => context.opened,
});

const path = (cell: FakeCell): string => ['created', ...cell.transitions.map(({ to }) => to)].join(' ');

describe('a machine', () => {
  test('takes messages as events and answers asks', async () => {
    const { cell, actor } = await started(defineActor({ type: 'door', logic: door }));
    expect(actor.receive(tellOf('open'))).toBeUndefined();
    actor.receive(tellOf('close'));
    actor.receive(tellOf('open'));
    actor.receive(askOf('ask'));
    expect(cell.replies.map(({ body }) => body)).toEqual([2]);
    expect(path(cell)).toBe('created initializing idle');
  });

  test('that has no transition for an ask says so at once', async () => {
    const { cell, actor } = await started(defineActor({ type: 'door', logic: door }));
    actor.receive(askOf('close'));
    expect(cell.errorReplies).toMatchObject([{ error: { code: 'no_handler' } }]);
    expect(cell.deadLetters).toHaveLength(1);
  });

  test('that reaches its final state is done, with its output', async () => {
    const { cell, actor } = await started(defineActor({ type: 'door', logic: door }));
    actor.receive(tellOf('open'));
    actor.receive(tellOf('burn'));
    expect(cell.outputs).toEqual([1]);
    expect(actor.state()).toBe('terminated');
    actor.receive(tellOf('open'));
    actor.stop();
    expect(cell.outputs).toEqual([1]);
  });

  test('that throws in an action has crashed, once, and nothing escapes', async () => {
    const fragile = createMachine({
      on: {
        boom: {
          actions: () => {
            throw new Error('bang');
          },
        },
      },
    });
    const { cell, actor } = await started(defineActor({ type: 'fragile', logic: fragile }));
    actor.receive(tellOf('boom'));
    actor.receive(tellOf('boom'));
    await settle();
    expect(cell.failures).toMatchObject([{ code: 'agent_crashed', message: 'bang', retryable: true }]);
    expect(actor.state()).toBe('error');
    actor.stop();
    expect(path(cell)).toBe('created initializing idle error');
  });

  test('that fails in its first step does not initialise', async () => {
    const stillborn = createMachine({
      entry: () => {
        throw new Error('no');
      },
    });
    const cell = new FakeCell();
    const actor = defineActor({ type: 'stillborn', logic: stillborn }).create(cell);
    expect(() => actor.start()).toThrowError(expect.objectContaining({ code: 'init_failed' }));
    expect(cell.failures).toEqual([]);
    expect(actor.state()).toBe('error');
  });

  test('that loops for ever in its transitions crashes instead of hanging the thread', async () => {
    const loop = createMachine({
      initial: 'calm',
      states: { calm: { on: { go: 'a' } }, a: { always: 'b' }, b: { always: 'a' } },
    });
    const { cell, actor } = await started(defineActor({ type: 'loop', logic: loop }));
    actor.receive(tellOf('go'));
    expect(cell.failures).toMatchObject([{ message: expect.stringContaining('Infinite loop') }]);
  });

  test('keeps the limit of steps that it set itself', () => {
    const own = createMachine({ options: { maxIterations: 7 } } as Parameters<typeof createMachine>[0]);
    defineActor({ type: 'own', logic: own });
    expect(own.options.maxIterations).toBe(7);
  });

  test('has its delayed transitions on the time of the cell, and they end with it', async () => {
    const lamp = createMachine({
      initial: 'on',
      context: { flips: 0 },
      states: {
        on: { after: { 100: 'off' } },
        off: { on: { ask: { actions: replyWith(() => 'off') } }, after: { 100: 'on' } },
      },
    });
    const { cell, actor } = await started(defineActor({ type: 'lamp', logic: lamp }));
    cell.clock.advance(100);
    actor.receive(askOf('ask'));
    expect(cell.replies).toMatchObject([{ body: 'off' }]);
    actor.stop();
    expect(cell.clock.pending).toBe(0);
    // A stop is no end of its own.
    expect(cell.outputs).toEqual([]);
  });
});

describe('what an event carries', () => {
  test('the fields of the body, under the type of the message; other bodies as body; and the message itself', async () => {
    const seen: unknown[] = [];
    const logic = fromTransition((state: null, event: { type: string }) => {
      seen.push({ ...event, from: messageOf(event)?.from });
      return state;
    }, null);
    const { actor } = await started(defineActor({ type: 'listener', logic }));
    actor.receive(tellOf('a', { n: 1, type: 'forged' }));
    actor.receive(tellOf('b', [1, 2]));
    const from = agentIdOf(99);
    expect(seen).toMatchObject([
      { type: 'a', n: 1, from },
      { type: 'b', body: [1, 2], from },
    ]);
  });

  test('notices of the runtime, under names of their own', async () => {
    const seen: unknown[] = [];
    const logic = fromTransition((state: null, event: { type: string }) => {
      seen.push(event);
      return state;
    }, null);
    const { cell, actor } = await started(defineActor({ type: 'listener', logic }));
    actor.signal({ type: 'terminated', id: cell.id, reason: 'crashed' });
    actor.signal({ type: 'timer', key: 'k', body: 1 });
    expect(seen).toMatchObject([
      { type: 'troupe.terminated', reason: 'crashed' },
      { type: 'troupe.timer', key: 'k', body: 1 },
    ]);
  });
});

describe('transition logic, promises and callbacks', () => {
  test('a transition function counts and replies through its port', async () => {
    const logic = fromTransition((count: number, event: { type: string }, scope) => {
      if (event.type !== 'total') return count + 1;
      portOf(scope).reply(event, count);
      return count;
    }, 0);
    const { cell, actor } = await started(defineActor({ type: 'counter', logic }));
    for (let n = 0; n < 3; n++) actor.receive(tellOf('inc'));
    actor.receive(askOf('total'));
    expect(cell.replies).toMatchObject([{ body: 3 }]);
  });

  test('a promise is done with what it gives, and crashes with what it throws', async () => {
    const logic = fromPromise(async ({ input }: { input: string }) => {
      if (input === 'bad') throw new Error('bad input');
      return input.toUpperCase();
    });
    const good = await started(defineActor({ type: 'p', logic, input: 'ok' }));
    const bad = await started(defineActor({ type: 'p', logic, input: ({ config }) => String(config.word) }), {
      config: { word: 'bad' },
    });
    await settle();
    expect(good.cell.outputs).toEqual(['OK']);
    expect(bad.cell.failures).toMatchObject([{ message: 'bad input' }]);
  });

  test('a callback is cleaned up at the stop', async () => {
    const ended: string[] = [];
    const logic = fromCallback(() => () => void ended.push('ended'));
    const { actor } = await started(defineActor({ type: 'c', logic }));
    actor.stop();
    expect(ended).toEqual(['ended']);
  });

  test('an action tells another actor', async () => {
    const to = agentIdOf(4);
    const logic = setup({ types: { events: {} as { type: 'go'; n: number } } }).createMachine({
      on: { go: { actions: tellWith(({ event }) => ({ to, type: 'went', body: event.n })) } },
    });
    const { cell, actor } = await started(defineActor({ type: 't', logic }));
    actor.receive(tellOf('go', { n: 5 }));
    expect(cell.told).toEqual([{ to, type: 'went', body: 5 }]);
  });

  test('a port outside of a runtime is refused in words', () => {
    const actor = createActor(
      fromTransition((state: null, event: { type: string }, scope) => {
        expect(() => portOf(scope).reply(event, 1)).toThrow(/not spawned by a runtime/);
        return state;
      }, null),
    ).start();
    actor.send({ type: 'x' });
    expect.assertions(1);
  });
});

describe('pause', () => {
  test('keeps messages until the resume', async () => {
    const { cell, actor } = await started(defineActor({ type: 'door', logic: door }), { paused: true });
    const waiting = actor.receive(askOf('ask'));
    await settle();
    expect(cell.replies).toEqual([]);
    actor.signal({ type: 'resume' });
    await waiting;
    expect(cell.replies).toHaveLength(1);
    expect(path(cell)).toBe('created initializing paused idle');
  });
});

describe('persist', () => {
  test('starts again from the saved snapshot, through JSON', async () => {
    const definition = defineActor({ type: 'door', logic: door, persist: true });
    const first = await started(definition);
    first.actor.receive(tellOf('open'));
    const restored = JSON.parse(JSON.stringify(first.actor.snapshot()));
    const { cell, actor } = await started(definition, { restored });
    actor.receive(tellOf('close'));
    actor.receive(tellOf('open'));
    actor.receive(askOf('ask'));
    expect(cell.replies).toMatchObject([{ body: 2 }]);
  });

  test('is off unless asked for', async () => {
    const { actor } = await started(defineActor({ type: 'door', logic: door }));
    expect(actor.snapshot()).toBeUndefined();
  });

  const timed = createMachine({ initial: 'a', states: { a: { after: { 50: 'b' } }, b: {} } });
  const nested = setup({ actors: { timed } }).createMachine({
    initial: 'x',
    states: { x: { invoke: { src: 'timed' } } },
  });
  const inline = createMachine({ initial: 'x', states: { x: { invoke: { src: timed } } } });
  test.each([
    { name: 'itself', logic: timed },
    { name: 'in a machine it invokes by name', logic: nested },
    { name: 'in a machine it invokes directly', logic: inline },
  ])('refuses a delayed transition in $name, naming the state', ({ logic }) => {
    expect(() => defineActor({ type: 't', logic, persist: true })).toThrowError(
      expect.objectContaining({
        code: 'config_invalid',
        message: expect.stringMatching(/persist: state ".*a" has an after/),
      }),
    );
    expect(() => defineActor({ type: 't', logic })).not.toThrow();
  });
});

test.each([
  { field: 'logic', options: { type: 'a', logic: () => 1 } },
  { field: 'type', options: { type: '', logic: door } },
  { field: 'supervision.maxRestarts', options: { type: 'a', logic: door, supervision: { maxRestarts: -1 } } },
])('a bad $field is refused when the definition is made', ({ field, options }) => {
  let error: unknown;
  try {
    defineActor(options as unknown as Parameters<typeof defineActor>[0]);
  } catch (thrown) {
    error = thrown;
  }
  expect(error).toBeInstanceOf(RuntimeError);
  expect(error).toMatchObject({ code: 'config_invalid', details: { field } });
});

test('its manifest says what it is', () => {
  expect(defineActor({ type: 'door', logic: door }).manifest).toMatchObject({
    type: 'door',
    kind: 'actor',
    capabilities: [],
    messages: ['ask', 'burn', 'open', 'close'],
  });
});
