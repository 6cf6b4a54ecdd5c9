// The root of the tree: a statechart that starts its groups in order, stops them in reverse and never restarts one.
// States: booting -> running -> draining (open: takes no new work; closing: groups stop) -> stopped.

import {
  type ActorLogicFrom,
  type AnyActorLogic,
  assign,
  enqueueActions,
  setup,
  spawnChild,
  stopChild,
  type UnknownActorLogic,
} from 'xstate';
import { toWireError, type WireError } from '../contracts/errors.ts';

/** A group of the tree. Its logic is made when its turn has come; it sends `group.up` to the root, and ends after `shutdown`. */
export interface RootGroup {
  readonly id: string;
  readonly create: () => AnyActorLogic;
  /** How long it may take to stop before the root goes on without it. */
  readonly stopMs: () => number;
}

export interface RootInput {
  /** In start order. */
  readonly groups: readonly RootGroup[];
}

export interface RootContext {
  readonly groups: readonly RootGroup[];
  /** Groups started so far, in start order, without those that ended. */
  readonly up: readonly string[];
  /** How many of the groups were started. */
  readonly begun: number;
  /** The failure that took the tree down. */
  readonly error: WireError | undefined;
  readonly failedGroup: string | undefined;
}

export type RootEvent =
  | { readonly type: 'group.up'; readonly id: string }
  | { readonly type: 'drain' }
  | { readonly type: 'resume' }
  | { readonly type: 'stop' }
  | { readonly type: `xstate.error.actor.${string}`; readonly error: unknown; readonly actorId: string }
  | { readonly type: `xstate.done.actor.${string}`; readonly output: unknown; readonly actorId: string };

const isLastOf = (context: RootContext, id: string) => context.up.at(-1) === id;

const rootSetup = setup({
  types: {
    context: {} as RootContext,
    events: {} as RootEvent,
    input: {} as RootInput,
  },
  // Groups are spawned as logic, not by name; declared all the same, so that ids of children are typed as strings.
  actors: {} as Record<string, UnknownActorLogic>,
  actions: {
    startNext: enqueueActions(({ context, enqueue }) => {
      const group = context.groups[context.begun];
      if (group === undefined) return;
      enqueue.assign({ begun: context.begun + 1, up: [...context.up, group.id] });
      enqueue(spawnChild(group.create(), { id: group.id }));
    }),
    stopLast: enqueueActions(({ context, enqueue }) => {
      const last = context.up.at(-1);
      if (last !== undefined) enqueue.sendTo(last, { type: 'shutdown' });
    }),
    killLast: enqueueActions(({ context, enqueue }) => {
      const last = context.up.at(-1);
      if (last === undefined) return;
      enqueue(stopChild(last));
      enqueue.assign({ up: context.up.slice(0, -1) });
    }),
    forgetEnded: assign(({ context, event }) =>
      'actorId' in event ? { up: context.up.filter((id) => id !== event.actorId) } : {},
    ),
    recordFailure: assign(({ context, event }) => {
      if (!event.type.startsWith('xstate.error.actor.') || !('error' in event)) return {};
      const up = context.up.filter((id) => id !== event.actorId);
      return context.error === undefined ? { up, error: toWireError(event.error), failedGroup: event.actorId } : { up };
    }),
  },
  guards: {
    bootedLast: ({ context, event }) =>
      event.type === 'group.up' && isLastOf(context, event.id) && context.begun === context.groups.length,
    bootedOne: ({ context, event }) => event.type === 'group.up' && isLastOf(context, event.id),
    allDown: ({ context }) => context.up.length === 0,
    noGroups: ({ context }) => context.groups.length === 0,
    endedLast: ({ context, event }) => 'actorId' in event && isLastOf(context, event.actorId),
  },
  delays: {
    groupStop: ({ context }) => context.groups.find((group) => group.id === context.up.at(-1))?.stopMs() ?? 0,
  },
});

const FAILURE = { target: '#root.draining.closing', actions: 'recordFailure' } as const;

/** The machine of the root. Its first failure of a group stops all others; what then happens to the process is its owner's. */
export const rootMachine = rootSetup.createMachine({
  id: 'root',
  context: ({ input }) => ({ groups: input.groups, up: [], begun: 0, error: undefined, failedGroup: undefined }),
  initial: 'booting',
  states: {
    booting: {
      entry: 'startNext',
      always: { guard: 'noGroups', target: 'running' },
      on: {
        'group.up': [
          { guard: 'bootedLast', target: 'running' },
          { guard: 'bootedOne', target: 'booting', reenter: true },
        ],
        stop: 'draining.closing',
        'xstate.error.actor.*': FAILURE,
      },
    },
    running: {
      on: { drain: 'draining.open', stop: 'draining.closing', 'xstate.error.actor.*': FAILURE },
    },
    draining: {
      initial: 'open',
      states: {
        open: {
          on: { resume: '#root.running', stop: 'closing', 'xstate.error.actor.*': FAILURE },
        },
        closing: {
          entry: 'stopLast',
          always: { guard: 'allDown', target: '#root.stopped' },
          after: { groupStop: { target: 'closing', reenter: true, actions: 'killLast' } },
          on: {
            // Only the end of the group that is being stopped lets the next one go; others just drop out of the list.
            'xstate.done.actor.*': [
              { guard: 'endedLast', target: 'closing', reenter: true, actions: 'forgetEnded' },
              { actions: 'forgetEnded' },
            ],
            'xstate.error.actor.*': [
              { guard: 'endedLast', target: 'closing', reenter: true, actions: 'recordFailure' },
              { actions: 'recordFailure' },
            ],
          },
        },
      },
    },
    stopped: { type: 'final' },
  },
  options: { maxIterations: 1_000 },
});

export type RootLogic = ActorLogicFrom<typeof rootMachine>;
