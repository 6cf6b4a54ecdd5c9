// What must be known of a user's machines before a thread runs them: their limits and their delayed transitions.

import type { AnyActorLogic, AnyStateMachine, AnyStateNode } from 'xstate';

/** Steps a machine may take without a rest before it fails: an endless `always` loop would hang its thread. */
const MAX_ITERATIONS = 10_000;

/** Gives machines that set no limit one. On the machine itself, because children invoke it by reference. */
export function boundMachines(logic: AnyActorLogic): void {
  for (const machine of machinesIn(logic)) {
    const { options } = machine as { options: { maxIterations?: number } };
    if (options.maxIterations === undefined || options.maxIterations === Number.POSITIVE_INFINITY) {
      options.maxIterations = MAX_ITERATIONS;
    }
  }
}

/** The first state with a delayed transition, in the machine or in those it can invoke. */
export function stateWithAfter(logic: AnyActorLogic): string | undefined {
  for (const machine of machinesIn(logic)) {
    for (const state of statesIn(machine.root)) if (state.after.length > 0) return state.id;
  }
  return undefined;
}

function machinesIn(logic: unknown, found = new Set<AnyStateMachine>()): ReadonlySet<AnyStateMachine> {
  if (!isMachine(logic) || found.has(logic)) return found;
  found.add(logic);
  for (const child of Object.values(logic.implementations.actors)) machinesIn(child, found);
  for (const state of statesIn(logic.root)) {
    for (const invoked of invokedBy(state)) machinesIn(invoked, found);
  }
  return found;
}

/** From the configuration: what is invoked inline has a name of XState's own everywhere else. */
function invokedBy(state: AnyStateNode): readonly unknown[] {
  const { invoke } = state.config as { invoke?: Invocation | readonly Invocation[] };
  return [invoke ?? []].flat().map((invocation) => (invocation as Invocation).src);
}

interface Invocation {
  readonly src?: unknown;
}

function statesIn(state: AnyStateNode): readonly AnyStateNode[] {
  return [state, ...Object.values(state.states).flatMap(statesIn)];
}

/** By shape and not by class: the module may bring a copy of XState of its own. */
export function isMachine(logic: unknown): logic is AnyStateMachine {
  return typeof logic === 'object' && logic !== null && 'root' in logic && 'implementations' in logic;
}
