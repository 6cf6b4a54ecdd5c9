// Names of what belongs to a round. Ids are the same whoever computes them, so that a decision made twice names one thing.

import { fromUuid, type TaskId, uuidV7, type WorkflowId } from '../contracts/ids.ts';
import { hashOf } from './definition.ts';

export const stepKey = (step: string, round: number): string => `${step}/${round}`;

/** Of the task of one round. */
export function taskIdOf(workflowId: WorkflowId, step: string, round: number, atMs: number): TaskId {
  return fromUuid('task', idOf([workflowId, step, round], atMs));
}

/** Of the run that is this round. */
export function childIdOf(workflowId: WorkflowId, step: string, round: number, atMs: number): WorkflowId {
  return fromUuid('workflow', idOf([workflowId, step, round, 'run'], atMs));
}

const idOf = (name: readonly unknown[], atMs: number): string =>
  uuidV7(atMs, Buffer.from(hashOf(name), 'hex').subarray(0, 10));
