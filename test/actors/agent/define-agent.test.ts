import { describe, expect, expectTypeOf, test } from 'vitest';
import { capability } from '../../../actors/agent/capability.ts';
import type { TaskContext } from '../../../actors/agent/context.ts';
import { defineAgent } from '../../../actors/agent/define-agent.ts';
import { z } from '../../../actors/index.ts';
import { ACTOR_DEFINITION } from '../../../runtime/contracts/actor.ts';
import { RuntimeError } from '../../../runtime/contracts/errors.ts';
import { FakeCell, taskOf } from '../../kit/fake-cell.ts';

const shout = capability({
  version: 2,
  description: 'Says it louder.',
  input: z.object({ text: z.string(), times: z.number().default(1) }),
  output: z.object({ text: z.string() }),
  handle: ({ text }) => ({ text: text.toUpperCase() }),
});

function refusalOf(options: object): RuntimeError {
  try {
    defineAgent(options as Parameters<typeof defineAgent>[0]);
  } catch (error) {
    if (error instanceof RuntimeError) return error;
    throw error;
  }
  throw new Error('it was not refused');
}

test('a definition carries the mark and a manifest that is plain JSON', () => {
  const definition = defineAgent({
    type: 'shouter',
    description: 'Shouts.',
    config: z.object({ prefix: z.string().default('') }),
    supervision: { maxRestarts: 5 },
    capabilities: { 'text.shout': shout },
    on: { hello: () => 'hello' },
    bid: () => ({ cost: 1 }),
  });
  expect(definition[ACTOR_DEFINITION]).toBe(true);
  const { manifest } = definition;
  expect(JSON.parse(JSON.stringify(manifest))).toEqual(manifest);
  expect(manifest).toMatchObject({
    type: 'shouter',
    kind: 'agent',
    description: 'Shouts.',
    messages: ['hello', 'troupe.cfp'],
    mailbox: { capacity: 1_000, overflow: 'reject' },
    supervision: { restart: 'transient', maxRestarts: 5, withinMs: 10_000 },
    isolation: 'shared',
    concurrency: 1,
    bids: true,
    config: { type: 'object', properties: { prefix: { type: 'string', default: '' } } },
  });
  expect(manifest.capabilities).toEqual([
    {
      name: 'text.shout',
      version: 2,
      description: 'Says it louder.',
      input: expect.objectContaining({ required: ['text'] }),
      output: expect.objectContaining({ required: ['text'], additionalProperties: false }),
    },
  ]);
});

describe('a bad definition is refused when it is made, naming the field', () => {
  const good = { type: 'a', capabilities: { 'text.shout': shout } };
  test.each([
    { field: 'type', options: { type: '../../x' } },
    { field: 'type', options: {} },
    { field: 'mailbox.capacity', options: { ...good, mailbox: { capacity: 0 } } },
    { field: 'mailbox.overflow', options: { ...good, mailbox: { overflow: 'explode' } } },
    { field: 'supervision.backoff.minMs', options: { ...good, supervision: { backoff: { minMs: 10, maxMs: 1 } } } },
    { field: 'supervision.restart', options: { ...good, supervision: { restart: 'never' } } },
    { field: 'isolation', options: { ...good, isolation: 'own' } },
    { field: 'concurrency', options: { ...good, concurrency: 0 } },
    { field: 'deferWhileRunning', options: { ...good, concurrency: 2, deferWhileRunning: true } },
    { field: 'bid', options: { type: 'a', bid: () => null } },
    { field: 'on.troupe.cfp', options: { ...good, bid: () => null, on: { 'troupe.cfp': () => null } } },
    { field: 'capabilities.Shout', options: { type: 'a', capabilities: { Shout: shout } } },
    {
      field: 'capabilities.text.shout.version',
      options: { type: 'a', capabilities: { 'text.shout': { ...shout, version: 0 } } },
    },
    {
      field: 'capabilities.text.shout.input',
      options: { type: 'a', capabilities: { 'text.shout': { ...shout, input: {} } } },
    },
    {
      field: 'capabilities.text.shout.handle',
      options: { type: 'a', capabilities: { 'text.shout': { ...shout, handle: 1 } } },
    },
    { field: 'on.hello', options: { type: 'a', on: { hello: 'hi' } } },
    { field: 'events', options: { type: 'a', events: { 'task.finished': () => undefined } } },
    { field: 'config', options: { type: 'a', config: { prefix: 'x' } } },
    { field: 'init', options: { type: 'a', init: true } },
    { field: '', options: { type: 'a', capabilites: {} } },
  ])('$field: $options', ({ field, options }) => {
    const error = refusalOf(options);
    expect(error.code).toBe('config_invalid');
    expect(error.details.field).toBe(field);
    expect(error.message).toContain('defineAgent');
    expect(error.message).toContain(field);
  });
});

test('handlers are typed by their schemas, the state and the config', () => {
  interface Seen {
    readonly seen: number;
  }
  defineAgent({
    type: 'typed',
    config: z.object({ limit: z.number().default(3) }),
    state: { seen: 0 },
    capabilities: {
      'text.shout': capability({
        version: 1,
        input: z.object({ text: z.string() }),
        output: z.object({ size: z.number() }),
        handle(input, ctx: TaskContext<Seen, { limit: number }>) {
          expectTypeOf(input).toEqualTypeOf<{ text: string }>();
          expectTypeOf(ctx.state.seen).toBeNumber();
          return { size: input.text.length };
        },
      }),
      // @ts-expect-error the result must match the output schema
      'text.wrong': capability({ version: 1, input: z.string(), output: z.number(), handle: () => 'no number' }),
    },
    on: {
      add: {
        input: z.object({ n: z.number() }),
        handle(body, ctx) {
          expectTypeOf(body).toEqualTypeOf<{ n: number }>();
          expectTypeOf(ctx.state).toEqualTypeOf<Readonly<{ seen: number }>>();
          expectTypeOf(ctx.config).toEqualTypeOf<{ limit: number }>();
        },
      },
      plain(message) {
        expectTypeOf(message.body).toBeUnknown();
      },
    },
    events: {
      'task.failed': (event) => expectTypeOf(event.error.code).toBeString(),
    },
  });
});

describe('the form with one capability', () => {
  const input = z.object({ text: z.string(), times: z.number().default(1) });
  const output = z.object({ text: z.string() });

  test('is the map with one entry', async () => {
    const one = defineAgent({
      type: 'upper',
      description: 'Says it louder.',
      capability: 'text.upper',
      version: 2,
      input,
      output,
      handle: ({ text, times }) => ({ text: text.toUpperCase().repeat(times) }),
    });
    const handle = ({ text, times }: z.output<typeof input>) => ({ text: text.toUpperCase().repeat(times) });
    const map = defineAgent({
      type: 'upper',
      description: 'Says it louder.',
      capabilities: {
        'text.upper': capability({ version: 2, description: 'Says it louder.', input, output, handle }),
      },
    });
    expect(one.manifest).toEqual(map.manifest);
    const run = async (definition: typeof one) => {
      const behavior = definition.create(new FakeCell({ type: 'upper' }));
      await behavior.start();
      return behavior.runTask?.(
        taskOf('text.upper', { text: 'a', times: 3 }, { version: 2 }),
        new AbortController().signal,
      );
    };
    expect(await run(one)).toMatchObject({ type: 'completed', result: { text: 'AAA' } });
    expect(await run(map)).toMatchObject({ type: 'completed', result: { text: 'AAA' } });
  });

  test('is version 1 unless it says otherwise', () => {
    const { manifest } = defineAgent({ type: 'a', capability: 'a.b', input, output, handle: ({ text }) => ({ text }) });
    expect(manifest.capabilities).toMatchObject([{ name: 'a.b', version: 1 }]);
  });

  test('types input, state and config, and checks the result', () => {
    defineAgent({
      type: 'typed',
      config: z.object({ loud: z.boolean().default(true) }),
      state: { said: 0 },
      capability: 'text.say',
      input,
      output,
      handle: (given, ctx) => {
        expectTypeOf(given).toEqualTypeOf<{ text: string; times: number }>();
        expectTypeOf(ctx.state).toEqualTypeOf<Readonly<{ said: number }>>();
        expectTypeOf(ctx.config).toEqualTypeOf<{ loud: boolean }>();
        return { text: given.text };
      },
    });
    // @ts-expect-error the output wants a text
    defineAgent({ type: 'typed', capability: 'text.say', input, output, handle: () => ({ text: 1 }) });
  });

  test.each([
    ['both forms', { capability: 'text.upper', capabilities: {} }, 'capability', 'not both'],
    ['a name that is none', { capability: 'upper case' }, 'capability', 'document.search'],
    ['a name that is no text', { capability: 7 }, 'capability', 'document.search'],
    ['no handler', { capability: 'text.upper', handle: undefined }, 'capabilities.text.upper.handle', 'function'],
  ])('refuses %s, naming the field', (_name, wrong, field, why) => {
    const error = refusalOf({ type: 'upper', input, output, handle: () => ({ text: '' }), ...wrong });
    expect(error).toMatchObject({ code: 'config_invalid', details: { field } });
    expect(error.message).toContain(why);
  });

  test('refuses a handler that belongs to no capability', () => {
    expect(refusalOf({ type: 'upper', handle: () => 1 }).message).toContain('handle');
  });
});
