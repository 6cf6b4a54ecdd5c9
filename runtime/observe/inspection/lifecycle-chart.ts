// The lifecycle of an agent as a statechart, for agents whose thread cannot be asked: the seven states and what leads from one to another.

import type { AgentState } from '../../contracts/agent.ts';
import type { Statechart } from '../../contracts/inspection.ts';

/** As `lifecycleMachine` of the agents has it; a test compares the two. */
export const LIFECYCLE_DEFINITION = {
  id: 'agent',
  initial: 'created',
  states: {
    created: { on: { initialize: 'initializing', crash: 'error', terminate: 'terminated' } },
    initializing: { on: { ready: ['paused', 'idle'], crash: 'error', terminate: 'terminated' } },
    idle: { on: { taskStarted: 'running', pause: 'paused', crash: 'error', terminate: 'terminated' } },
    running: {
      on: {
        taskStarted: 'running',
        taskEnded: ['running', 'paused', 'idle'],
        pause: 'running',
        resume: 'running',
        crash: 'error',
        terminate: 'terminated',
      },
    },
    paused: { on: { resume: 'idle', crash: 'error', terminate: 'terminated' } },
    error: { on: { restart: 'initializing', terminate: 'terminated' } },
    terminated: { type: 'final' },
  },
} as const;

export function lifecycleChart(state: AgentState): Statechart {
  const node = LIFECYCLE_DEFINITION.states[state];
  return {
    id: LIFECYCLE_DEFINITION.id,
    definition: LIFECYCLE_DEFINITION as unknown as Record<string, unknown>,
    value: state,
    active: [state],
    status: state === 'terminated' ? 'done' : 'active',
    events: 'on' in node ? Object.keys(node.on) : [],
  };
}
