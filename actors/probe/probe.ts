// The probe: an agent that does as its input says. For tests, demos, chaos and measurements.

import { z } from 'zod';
import { TaskError } from '../../runtime/contracts/errors.ts';
import type { AgentId } from '../../runtime/contracts/ids.ts';
import { capability } from '../agent/capability.ts';
import type { TaskContext } from '../agent/context.ts';
import { defineAgent } from '../agent/define-agent.ts';
import { burnCpu, exitBy, exitSchema } from './misbehave.ts';

const durationMs = z.number().min(0).max(86_400_000);

const probeInputSchema = z.strictObject({
  /** Wait this long; the abort signal ends it. */
  sleepMs: durationMs.optional(),
  /** Keep the thread busy this long; nothing ends it. */
  cpuMs: durationMs.optional(),
  /** Fail while the attempt's number is not above this. */
  failTimes: z.number().int().min(0).max(1_000).optional(),
  failCode: z.string().min(1).max(100).optional(),
  /** Die: an uncaught throw, the end of the thread, heap exhaustion by small objects, an endless loop. */
  exit: exitSchema.optional(),
  /** What the result carries as `answer`. */
  answer: z.unknown().optional(),
  /** The cost it bids in an auction. */
  bid: z.number().min(0).optional(),
  /** Says it used this, in attempts that fail too. */
  usage: z
    .strictObject({
      tokens: z.number().int().min(0).optional(),
      cost: z.number().min(0).optional(),
      messages: z.number().int().min(0).optional(),
    })
    .optional(),
  /** Length of a text that the result carries as `payload`. */
  bytes: z.number().int().min(0).max(16_777_216).optional(),
});
export type ProbeInput = z.input<typeof probeInputSchema>;

const probeResultSchema = z.object({
  answer: z.unknown(),
  attempt: z.number().int(),
  agentId: z.string(),
  threadId: z.number().int(),
  node: z.string(),
  payload: z.string().optional(),
});
export type ProbeResult = z.output<typeof probeResultSchema>;

interface ProbeState {
  /** Messages of type `count` handled. */
  readonly counted: number;
  /** Sum of the bodies of these, as a checksum. */
  readonly sum: number;
}

async function run(given: ProbeInput, ctx: TaskContext<ProbeState, ProbeInput>): Promise<ProbeResult> {
  const input = { ...ctx.config, ...given };
  if (input.usage) ctx.usage(input.usage);
  if (input.sleepMs) await ctx.sleep(input.sleepMs);
  if (input.cpuMs) burnCpu(input.cpuMs, ctx);
  if (input.exit) await exitBy(input.exit, ctx.signal);
  if (ctx.attempt <= (input.failTimes ?? 0)) {
    throw new TaskError(input.failCode ?? 'probe_failed', `attempt ${ctx.attempt} fails as it was told to`);
  }
  return {
    answer: input.answer ?? null,
    attempt: ctx.attempt,
    agentId: ctx.id,
    threadId: ctx.thread,
    node: ctx.node,
    ...(input.bytes === undefined ? {} : { payload: 'x'.repeat(input.bytes) }),
  };
}

export const probe = defineAgent({
  type: 'probe',
  description: 'Does as its input says: sleeps, computes, fails, dies, answers. For tests and demos.',
  config: probeInputSchema,
  state: (): ProbeState => ({ counted: 0, sum: 0 }),
  bid: (call, self) => {
    const told = probeInputSchema.safeParse(call.input);
    const cost = (told.success ? told.data.bid : undefined) ?? self.config.bid;
    return cost === undefined ? null : { cost, etaMs: self.p50Ms, confidence: 1 };
  },
  capabilities: {
    'probe.run': capability({
      version: 1,
      description: 'Does as its input says.',
      input: probeInputSchema.prefault({}),
      output: probeResultSchema,
      handle: run,
    }),
  },
  on: {
    /** Asked or told: `pong` with the thread and node it is on. */
    ping: (_message, ctx) => ({ type: 'pong', agentId: ctx.id, threadId: ctx.thread, node: ctx.node }),
    /** Gives the body back. */
    echo: (message, ctx) => void ctx.reply(message.body),
    /** Adds the body, a number, to the sum that `counted` tells. */
    count: (message, ctx) => {
      const add = typeof message.body === 'number' ? message.body : 1;
      ctx.state = { counted: ctx.state.counted + 1, sum: ctx.state.sum + add };
    },
    counted: (_message, ctx) => ctx.state,
    reset: (_message, ctx) => {
      ctx.state = { counted: 0, sum: 0 };
    },
    /** Answers after a while. */
    slow: {
      input: z.object({ ms: durationMs, answer: z.unknown().optional() }),
      handle: async ({ ms, answer }, ctx) => {
        await ctx.sleep(ms);
        return answer ?? null;
      },
    },
    /** Tells or asks another agent from this agent's thread. */
    relay: {
      input: z.object({
        to: z.string(),
        type: z.string(),
        body: z.unknown().optional(),
        ask: z.boolean().default(false),
        times: z.number().int().min(1).max(10_000_000).default(1),
        timeoutMs: durationMs.default(5_000),
      }),
      handle: async ({ to, type, body, ask, times, timeoutMs }, ctx) => {
        const target = to as AgentId;
        if (ask) return await ctx.ask(target, type, body, { timeoutMs });
        for (let sent = 0; sent < times; sent++) ctx.tell(target, type, body);
        return { sent: times };
      },
    },
    /** Throws, as a handler with a bug would. */
    fail: (message) => {
      throw new TaskError('probe_failed', String(message.body ?? 'told to fail'));
    },
    /** Dies in a message handler. */
    exit: { input: exitSchema, handle: (how, ctx) => exitBy(how, ctx.signal) },
  },
});
