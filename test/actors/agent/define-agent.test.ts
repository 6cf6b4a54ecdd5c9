import { describe, expect, expectTypeOf, test } from 'vitest';
import { capability } from '../../../actors/agent/capability.ts';
import type { TaskContext } from '../../../actors/agent/context.ts';
import { defineAgent } from '../../../actors/agent/define-agent.ts';
import { z } from '../../../actors/index.ts';
import { ACTOR_DEFINITION } from '../../../runtime/contracts/actor.ts';
import { RuntimeError } from '../../../runtime/contracts/errors.ts';

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
