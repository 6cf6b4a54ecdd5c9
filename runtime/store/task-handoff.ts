// A task handed on by its handler: back into the queue of its new addressee, under the fence of the attempt that gave it away.

import { toUuid } from '../contracts/ids.ts';
import type { Db, TaskStore } from '../contracts/store.ts';
import type { HandoffTarget, SettleTask, TaskSettlement } from '../contracts/task.ts';
import { giveBack, giveBackStatement } from './task-give-back.ts';

const HAND_OFF = giveBackStatement({
  name: 'task_hand_off',
  how: 'handed_off',
  state: 'queued',
  set: `run_at = now.at, queue = $10, agent_id = $11::uuid, capability = $12, version = $13::int,
    input = CASE WHEN $14::boolean THEN $15::jsonb ELSE t.input END`,
});

export type HandedOff = Extract<TaskSettlement, { type: 'handed_off' }>;

/** What the task's stream says of it. */
export function handoffData(op: SettleTask, { target, reason }: HandedOff): Record<string, unknown> {
  return {
    attempt: op.attempt,
    agentId: op.agentId,
    runMs: op.runMs,
    from: op.agentId,
    to: addresseeOf(target),
    ...(reason === undefined ? {} : { reason }),
    ...(op.usage ? { usage: op.usage } : {}),
  };
}

function addresseeOf({ agentId, capability, version }: HandoffTarget) {
  return { ...(agentId === null ? {} : { agentId }), capability: `${capability}@${version}` };
}

export function handOff(db: Db, node: string, op: SettleTask, settlement: HandedOff): ReturnType<TaskStore['settle']> {
  const { target, input } = settlement;
  const values = [
    target.queue,
    target.agentId && toUuid(target.agentId),
    target.capability,
    target.version,
    input !== undefined,
    input === undefined ? null : JSON.stringify(input.value ?? null),
  ];
  return giveBack(db, HAND_OFF, { node, op, data: handoffData(op, settlement), values });
}
