// The definition of an agent type: what a module exports, what threads create agents from, what nodes publish.

import { z } from 'zod';
import { ACTOR_DEFINITION, type ActorDefinition, type ActorManifest } from '../../runtime/contracts/actor.ts';
import type { CapabilityInfo } from '../../runtime/contracts/agent.ts';
import { CALL_FOR_BIDS } from '../../runtime/contracts/coordination.ts';
import { AgentBehavior, agentType } from './behavior.ts';
import {
  type AgentOptions,
  type ConfigSchema,
  type NoConfig,
  type OneCapabilityOptions,
  type ResolvedAgent,
  resolveAgent,
} from './options.ts';

/**
 * Defines an agent type. Export the result from a module of its own: threads load modules, closures cannot cross.
 * @throws RuntimeError `config_invalid` when an option is bad, naming the field and what is allowed.
 *
 * @example
 * export const counter = defineAgent({
 *   type: 'counter',
 *   state: { count: 0 },
 *   on: {
 *     add: { input: z.number(), handle: (n, ctx) => { ctx.state = { count: ctx.state.count + n }; } },
 *     total: (_message, ctx) => ctx.state.count,
 *   },
 * });
 *
 * @example
 * // One capability needs no map; `version` is 1 unless it is given.
 * export const upper = defineAgent({
 *   type: 'upper',
 *   capability: 'text.upper',
 *   input: z.object({ text: z.string() }),
 *   output: z.object({ text: z.string() }),
 *   handle: ({ text }) => ({ text: text.toUpperCase() }),
 * });
 */
export function defineAgent<
  Input extends z.ZodType,
  Output extends z.ZodType,
  State = undefined,
  Schema extends ConfigSchema = NoConfig,
  Bodies extends Record<string, unknown> = Record<never, never>,
>(options: OneCapabilityOptions<Input, Output, State, Schema, Bodies>): ActorDefinition;
export function defineAgent<
  State = undefined,
  Schema extends ConfigSchema = NoConfig,
  Bodies extends Record<string, unknown> = Record<never, never>,
>(options: AgentOptions<State, Schema, Bodies>): ActorDefinition;
export function defineAgent(options: unknown): ActorDefinition {
  const agent = resolveAgent(options);
  const type = agentType(agent);
  let manifest: ActorManifest | undefined;
  return {
    [ACTOR_DEFINITION]: true,
    // Made on demand: threads create agents and never look at the JSON schemas.
    get manifest() {
      manifest ??= manifestOf(agent);
      return manifest;
    },
    create: (cell) => new AgentBehavior(type, cell),
  };
}

function manifestOf(agent: ResolvedAgent): ActorManifest {
  return {
    type: agent.type,
    kind: 'agent',
    ...(agent.description === undefined ? {} : { description: agent.description }),
    capabilities: Object.entries(agent.capabilities).map(
      ([name, { version, description, input, output }]): CapabilityInfo => ({
        name,
        version,
        ...(description === undefined ? {} : { description }),
        input: z.toJSONSchema(input, { io: 'input', unrepresentable: 'any' }),
        output: z.toJSONSchema(output, { io: 'output', unrepresentable: 'any' }),
      }),
    ),
    config: z.toJSONSchema(agent.config, { io: 'input', unrepresentable: 'any' }),
    messages: [...Object.keys(agent.on), ...(agent.bid ? [CALL_FOR_BIDS] : [])],
    mailbox: agent.mailbox,
    supervision: agent.supervision,
    isolation: agent.isolation,
    ...(agent.requires ? { requires: agent.requires } : {}),
    ...(agent.passivateAfterMs ? { passivateAfterMs: agent.passivateAfterMs } : {}),
    concurrency: agent.concurrency,
    bids: agent.bid !== undefined,
  };
}
