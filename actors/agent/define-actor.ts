// Plain actors: any XState logic (a machine, transition logic, ...) spawned and supervised like an agent.

import type { AnyActorLogic, AnyStateMachine, AnyStateNode, InputFrom } from 'xstate';
import { z } from 'zod';
import { ACTOR_DEFINITION, type ActorDefinition, type ActorManifest } from '../../runtime/contracts/actor.ts';
import { isolationSchema } from '../../runtime/contracts/agent.ts';
import { type MailboxOptions, mailboxOptionsSchema } from '../../runtime/contracts/envelope.ts';
import type { AgentId, NodeId } from '../../runtime/contracts/ids.ts';
import { type SupervisionOptions, supervisionOptionsSchema } from '../../runtime/contracts/supervision.ts';
import { LogicBehavior } from './logic-behavior.ts';
import { actorTypeSchema, checkOptions } from './options.ts';

/** What an actor's `input` function is told of the incarnation it is for. */
export interface ActorStart {
  readonly id: AgentId;
  readonly name: string;
  readonly node: NodeId;
  readonly thread: number;
  readonly incarnation: number;
  /** As given when it was spawned; not validated. */
  readonly config: Record<string, unknown>;
}

export interface ActorOptions<Logic extends AnyActorLogic> {
  readonly type: string;
  readonly description?: string;
  /** A message `{ type, body }` reaches it as the event `{ ...body, type }`. */
  readonly logic: Logic;
  /** Input of the logic. */
  readonly input?: InputFrom<Logic> | ((start: ActorStart) => InputFrom<Logic>);
  /**
   * Save the persisted snapshot and start from it again, after a restart too. Default false: each incarnation starts afresh.
   * Refused for machines with `after`: XState does not restore these timers.
   */
  readonly persist?: boolean;
  readonly mailbox?: MailboxOptions;
  readonly supervision?: SupervisionOptions;
  readonly isolation?: 'shared' | 'dedicated';
}

const logicSchema = z.custom<AnyActorLogic>(
  (value) => typeof value === 'object' && value !== null && 'transition' in value && 'getInitialSnapshot' in value,
  'expected XState actor logic: a machine, fromTransition, fromPromise, fromCallback, fromObservable',
);

const actorOptionsSchema = z
  .strictObject({
    type: actorTypeSchema,
    description: z.string().optional(),
    logic: logicSchema,
    input: z.unknown().optional(),
    persist: z.boolean().default(false),
    mailbox: mailboxOptionsSchema.prefault({}),
    supervision: supervisionOptionsSchema.prefault({}),
    isolation: isolationSchema.default('shared'),
  })
  .superRefine((options, ctx) => {
    const at = options.persist ? stateWithAfter(options.logic) : undefined;
    if (at === undefined) return;
    ctx.addIssue({
      code: 'custom',
      path: ['persist'],
      message: `state "${at}" has an after transition, whose timer XState does not restore; remove it or persist`,
    });
  });
export type ResolvedActor = z.output<typeof actorOptionsSchema>;

/** Steps a machine may take without a rest before it fails: an endless `always` loop would hang its thread. */
const MAX_ITERATIONS = 10_000;

/**
 * Defines an actor type from XState logic. Export the result from a module of its own.
 * An error of the logic is a crash that its supervisor answers; reaching a final state ends it as done.
 * @throws RuntimeError `config_invalid` when an option is bad, naming the field.
 *
 * @example
 * export const door = defineActor({ type: 'door', logic: createMachine({ ... }) });
 */
export function defineActor<Logic extends AnyActorLogic>(options: ActorOptions<Logic>): ActorDefinition {
  const actor = checkOptions('defineActor', actorOptionsSchema, options);
  boundMachines(actor.logic);
  return {
    [ACTOR_DEFINITION]: true,
    manifest: manifestOf(actor),
    create: (cell) => new LogicBehavior(actor, cell),
  };
}

function manifestOf(actor: ResolvedActor): ActorManifest {
  return {
    type: actor.type,
    kind: 'actor',
    ...(actor.description === undefined ? {} : { description: actor.description }),
    capabilities: [],
    messages: isMachine(actor.logic) ? actor.logic.events.filter((event) => event !== '*') : [],
    mailbox: actor.mailbox,
    supervision: actor.supervision,
    isolation: actor.isolation,
    concurrency: 1,
    bids: false,
  };
}

/** Gives machines that set no limit one. On the machine itself, because children invoke it by reference. */
function boundMachines(logic: AnyActorLogic): void {
  for (const machine of machinesIn(logic)) {
    const { options } = machine as { options: { maxIterations?: number } };
    if (options.maxIterations === undefined || options.maxIterations === Number.POSITIVE_INFINITY) {
      options.maxIterations = MAX_ITERATIONS;
    }
  }
}

/** The first state with a delayed transition, in the machine or in those it can invoke. */
function stateWithAfter(logic: AnyActorLogic): string | undefined {
  for (const machine of machinesIn(logic)) {
    for (const state of statesIn(machine.root)) if (state.after.length > 0) return state.id;
  }
  return undefined;
}

function machinesIn(logic: AnyActorLogic, found = new Set<AnyStateMachine>()): ReadonlySet<AnyStateMachine> {
  if (!isMachine(logic) || found.has(logic)) return found;
  found.add(logic);
  for (const child of Object.values(logic.implementations.actors)) machinesIn(child as AnyActorLogic, found);
  for (const state of statesIn(logic.root)) {
    for (const { src } of state.invoke) if (typeof src !== 'string') machinesIn(src, found);
  }
  return found;
}

function statesIn(state: AnyStateNode): readonly AnyStateNode[] {
  return [state, ...Object.values(state.states).flatMap(statesIn)];
}

/** By shape and not by class: the module may bring a copy of XState of its own. */
function isMachine(logic: unknown): logic is AnyStateMachine {
  return typeof logic === 'object' && logic !== null && 'root' in logic && 'implementations' in logic;
}
