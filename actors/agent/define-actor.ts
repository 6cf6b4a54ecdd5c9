// Plain actors: any XState logic (a machine, transition logic, ...) spawned and supervised like an agent.

import type { AnyActorLogic } from 'xstate';
import { ACTOR_DEFINITION, type ActorDefinition, type ActorManifest } from '../../runtime/contracts/actor.ts';
import { type ActorOptions, type ResolvedActor, resolveActor } from './actor-options.ts';
import { LogicBehavior } from './logic-behavior.ts';
import { boundMachines, isMachine } from './machines.ts';

/**
 * Defines an actor type from XState logic. Export the result from a module of its own.
 * An error of the logic is a crash that its supervisor answers; reaching a final state ends it as done.
 * @throws RuntimeError `config_invalid` when an option is bad, naming the field.
 *
 * @example
 * export const door = defineActor({ type: 'door', logic: createMachine({ ... }) });
 */
export function defineActor<Logic extends AnyActorLogic>(options: ActorOptions<Logic>): ActorDefinition {
  const actor = resolveActor(options);
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
    ...(actor.requires ? { requires: actor.requires } : {}),
    ...(actor.passivateAfterMs ? { passivateAfterMs: actor.passivateAfterMs } : {}),
    concurrency: 1,
    bids: false,
  };
}
