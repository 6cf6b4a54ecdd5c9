// What a step is when it starts: a task, a run inside the run, or a question to a person. Shared by every pattern.

import type { CoordinationCommand } from '../../runtime/contracts/coordination.ts';
import type { Participant, Stage, WorkflowTask } from '../../runtime/contracts/workflow.ts';

type Schedule = Extract<CoordinationCommand, { type: 'schedule' }>;

/** The task of a participant. `agentId` overrides the one it names. */
export function taskOf(
  from: Pick<Participant | Stage, 'capability' | 'timeoutMs' | 'retry' | 'priority' | 'agentId'>,
  input: unknown,
  agentId = from.agentId,
): Schedule['task'] {
  return {
    capability: from.capability,
    ...(input === undefined ? {} : { input }),
    ...(from.timeoutMs === undefined ? {} : { timeoutMs: from.timeoutMs }),
    ...(from.retry === undefined ? {} : { retry: from.retry }),
    ...(from.priority === undefined ? {} : { priority: from.priority }),
    ...(agentId === undefined ? {} : { agentId }),
  };
}

/** The command that starts one round of a step of a graph, with its input resolved. */
export function startOf(task: WorkflowTask, round: number, input: unknown): CoordinationCommand {
  const step = task.id;
  const reserve = task.reserve === undefined ? {} : { reserve: task.reserve };
  if (task.workflow) {
    const workflow = input === undefined || 'input' in task.workflow ? task.workflow : { ...task.workflow, input };
    return { type: 'spawn', step, round, workflow, ...reserve };
  }
  const context = input === undefined ? {} : { context: input };
  if (task.approval) return { type: 'await', step, round, request: { kind: 'approval', ...task.approval, ...context } };
  if (task.ask) return { type: 'await', step, round, request: { kind: 'input', ...task.ask, ...context } };
  const { capability = '' } = task;
  return { type: 'schedule', step, round, task: taskOf({ ...task, capability }, input), ...reserve };
}

/** The undo of a step: another capability, which no agent is pinned for. */
export function undoOf(task: WorkflowTask, step: string, capability: string, input: unknown): Schedule {
  const { agentId: _pinned, ...rest } = task;
  return { type: 'schedule', step, round: 0, task: taskOf({ ...rest, capability }, input) };
}
