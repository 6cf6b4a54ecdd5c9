// What callers may see of views and events: the same, without stacks and module paths.

import type { ManifestEntry } from '../runtime/contracts/actor.ts';
import type { RuntimeEvent } from '../runtime/contracts/event.ts';
import type { TaskView } from '../runtime/contracts/task.ts';
import type { WorkflowView } from '../runtime/contracts/workflow.ts';

export function presentTask(task: TaskView): TaskView {
  const { error, attempts, ...rest } = task;
  return {
    ...rest,
    ...(error ? { error: withoutStack(error) } : {}),
    ...(attempts
      ? { attempts: attempts.map((attempt) => ({ ...attempt, error: attempt.error && withoutStack(attempt.error) })) }
      : {}),
  };
}

export function presentWorkflow(workflow: WorkflowView): WorkflowView {
  const { error, tasks, ...rest } = workflow;
  return {
    ...rest,
    ...(error ? { error: withoutStack(error) } : {}),
    tasks: tasks.map(({ error: failure, ...step }) => (failure ? { ...step, error: withoutStack(failure) } : step)),
  };
}

export function presentEvent(event: RuntimeEvent): RuntimeEvent {
  const { error } = event.data;
  if (typeof error !== 'object' || error === null) return event;
  return { ...event, data: { ...event.data, error: withoutStack(error) } };
}

/** A type without where its code lies. */
export function presentType({ module: _module, ...entry }: ManifestEntry): Omit<ManifestEntry, 'module'> {
  return entry;
}

export function withoutStack<Thrown extends object>(error: Thrown): Thrown {
  if (!('stack' in error)) return error;
  const { stack: _stack, ...rest } = error;
  return rest as Thrown;
}
