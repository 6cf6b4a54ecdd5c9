// The pulse of a node that has nothing to do.

import type { Pulse } from '../../runtime/contracts/store.ts';

export const QUIET_PULSE: Pulse = {
  promoteInMs: null,
  expireInMs: null,
  workflowTimerInMs: null,
  agentTimerInMs: null,
  queues: [],
  running: 0,
  mail: false,
  freeRuns: false,
  freeAgents: false,
  foreignChanges: 0,
  letters: false,
  wanted: false,
  sweep: false,
};
