// The one question that an idle node asks of the store. What the answer names is done by the chore that knows how; the chores' own
// rounds are only the safety net beneath it.

import type { Pulse, Store } from '../contracts/store.ts';
import type { Dispatcher } from './dispatcher.ts';
import type { Chore } from './sweeper.ts';

export interface PulseParts {
  readonly store: Pick<Store, 'pulse'>;
  readonly dispatcher: Pick<Dispatcher, 'hint' | 'running'>;
  readonly config: { readonly pollMs: number };
  /** A run of this node has mail, or a run has no owner. */
  readonly onRuns?: () => void;
}

type Soon = (name: string, inMs?: number) => void;

/** Named `pulse`. Asks for `promote`, `expire`, `fire-timers`, `sweep-leases`, `lost-claims` and the chores of agents by name. */
export function pulseChore({ store, dispatcher, config, onRuns }: PulseParts): Chore {
  let foreignChanges = 0;
  return {
    name: 'pulse',
    everyMs: config.pollMs,
    async run(soon) {
      const pulse = await store.pulse();
      for (const queue of pulse.queues) dispatcher.hint(queue);
      // Read after the answer: a claim that is still on its way makes the check run for nothing, no more.
      if (pulse.running < dispatcher.running().length) soon('lost-claims');
      if (pulse.mail || pulse.freeRuns) onRuns?.();
      if (pulse.sweep) soon('sweep-leases');
      if (pulse.freeAgents) soon('agent-adoption');
      if (pulse.foreignChanges !== foreignChanges) soon('agent-commands');
      foreignChanges = pulse.foreignChanges;
      if (pulse.letters) soon('durable-mail');
      if (pulse.wanted) soon('agent-wake');
      for (const [name, waitMs] of waitsOf(pulse)) if (waitMs !== null && waitMs <= config.pollMs) soon(name, waitMs);
    },
  };
}

const waitsOf = (pulse: Pulse) =>
  [
    ['promote', pulse.promoteInMs],
    ['expire', pulse.expireInMs],
    ['fire-timers', pulse.workflowTimerInMs],
    ['agent-timers', pulse.agentTimerInMs],
  ] as const satisfies readonly (readonly [Parameters<Soon>[0], number | null])[];
