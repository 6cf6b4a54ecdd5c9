// Decides which thread the demo kills and when: one that is surely in the middle of a step, told by the progress it reports.

import type { RuntimeEvent } from '../../runtime/contracts/event.ts';
import type { DemoView, StepLine } from './view.ts';

export interface Victim {
  readonly thread: number;
  readonly step: string;
  readonly taskId: string;
  readonly fraction: number;
}

/** Far enough to show that work is lost, and far enough from the end that the kill is in time. */
const FROM = 0.2;
const TO = 0.8;

/** The thread to kill because of this event, if any. Call it after the event was folded into the view. */
export function chooseVictim(view: DemoView, event: RuntimeEvent): Victim | undefined {
  if (event.type !== 'task.progress') return undefined;
  const step = [...view.steps.values()].find((one) => one.taskId === event.stream);
  if (step?.state !== 'running' || step.attempt !== 1) return undefined;
  const thread = step.thread ?? view.agents.get(step.agentId ?? '')?.thread ?? undefined;
  if (thread === undefined) return undefined;
  if (step.fraction < FROM || step.fraction > TO || !hasSlowWork(step)) return undefined;
  return { thread, step: step.id, taskId: event.stream, fraction: step.fraction };
}

/** Searches are over in the time it takes to kill a thread; surveys and analyses are not. */
const hasSlowWork = (step: StepLine): boolean => step.id === 'survey' || step.id.startsWith('analyse-');

/** Whether a killed thread did interrupt the task: it started again. */
export function wasInterrupted(view: DemoView, victim: Victim): boolean {
  return (view.tasks.get(victim.taskId)?.attempt ?? 1) > 1;
}
