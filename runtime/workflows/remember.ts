// The step from one memory to the next. Pure.

import type { CoordinationEvent } from '../contracts/coordination.ts';
import type { WorkflowId } from '../contracts/ids.ts';
import type { RunTimes } from './analytics.ts';
import type { Definition } from './definition.ts';
import { newMemory, type RunMemory } from './run-memory.ts';
import { BUDGET_STEP, type Remembered, Turn } from './turn.ts';

/** Takes one event. Events before the start and after the end change nothing. */
export function remember(
  definition: Definition,
  workflowId: WorkflowId,
  before: RunMemory | null,
  event: CoordinationEvent,
): Remembered {
  if (before === null && event.type !== 'started')
    throw new TypeError(`a run begins with "started", not with "${event.type}"`);
  if (before?.ended || (before && event.type === 'started')) {
    return { memory: { ...before, events: before.events + 1 }, commands: [], decisions: [], changed: false };
  }
  const turn = new Turn(definition, workflowId, before ?? newMemory(event.atMs), event.atMs);
  if (event.type === 'started' && before === null) turn.start(event);
  else turn.take(event);
  return turn.result();
}

/** What its metrics are made of. */
export const timesOf = (memory: RunMemory, endedAtMs: number): RunTimes => ({
  startedAtMs: memory.startedAtMs,
  endedAtMs,
  timings: memory.timings,
  pauses: memory.pauses,
  budgetStep: BUDGET_STEP,
  messages: { events: memory.events, dispatched: memory.dispatched, calls: memory.called },
});
