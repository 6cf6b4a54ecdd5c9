// The end of a step as its run is told of it, made where the attempt ended instead of read from the inbox.

import type { CoordinationEvent } from '../contracts/coordination.ts';
import { toUuid } from '../contracts/ids.ts';
import type { InboxEvent } from '../contracts/store.ts';
import type { ClaimedTask, SettleTask } from '../contracts/task.ts';
import type { Usage } from '../contracts/usage.ts';

/** An attempt that ended, and when by the clock of the database, as far as this node knows it. */
export interface EndedAttempt {
  readonly task: ClaimedTask;
  readonly endedAtMs: number;
}

/**
 * The mail that settling it alone would put into the inbox. Undefined: only the store can tell, because it is no end of a step or the row
 * holds what earlier attempts left there.
 */
export function stepEnd(settle: SettleTask, { task, endedAtMs }: EndedAttempt): InboxEvent | undefined {
  const { settlement, usage } = settle;
  const { workflowId, stepKey, round } = task;
  if (workflowId === undefined || stepKey === undefined || round === undefined || settle.fence !== 1) return undefined;
  const base = {
    atMs: Math.floor(endedAtMs),
    step: stepKey,
    round,
    taskId: task.taskId,
    agentId: settle.agentId,
    attempts: settle.attempt,
    startedAtMs: task.claimedAtMs,
    createdAtMs: task.createdAtMs,
    lastStartedAtMs: task.claimedAtMs,
    ...(usage ? { usage: asStored(usage) as Usage } : {}),
  };
  const eventId = `${toUuid(task.taskId)}/${settle.fence}`;
  const event = eventOf(settlement, base);
  return event && { workflowId, eventId, event, ...(settle.placed ? { placed: settle.placed } : {}) };
}

type Base = Omit<Extract<CoordinationEvent, { type: 'step.completed' }>, 'type' | 'output'>;

function eventOf(settlement: SettleTask['settlement'], base: Base): CoordinationEvent | undefined {
  switch (settlement.type) {
    case 'completed':
      return { type: 'step.completed', output: asStored(settlement.result), ...base };
    case 'failed':
    case 'dead':
    case 'timed_out':
      return {
        type: 'step.failed',
        state: settlement.type,
        error: asStored(settlement.error) as typeof settlement.error,
        ...base,
      };
    default:
      return undefined;
  }
}

/**
 * A value as it comes back from the database: what JSON drops is dropped, and keys are in the order of `jsonb` (shorter ones first, then
 * by bytes). A decision made on it is the one a replay makes.
 */
export function asStored(value: unknown): unknown {
  if (typeof value === 'string' || typeof value === 'boolean') return value;
  const text = JSON.stringify(value);
  return text === undefined ? null : ordered(JSON.parse(text));
}

/** In place as far as it goes: the value is a copy of ours. Most records are in order as they are. */
function ordered(value: unknown): unknown {
  if (typeof value !== 'object' || value === null) return value;
  if (Array.isArray(value)) {
    for (let at = 0; at < value.length; at++) value[at] = ordered(value[at]);
    return value;
  }
  const record = value as Record<string, unknown>;
  const keys = Object.keys(record);
  for (const key of keys) {
    const part = record[key];
    if (typeof part === 'object' && part !== null) record[key] = ordered(part);
  }
  if (keys.length < 2 || keys.every((key, at) => at === 0 || compareKeys(keys[at - 1] ?? '', key) < 0)) return record;
  keys.sort(compareKeys);
  // Defines own properties, so that a key like __proto__ stays data.
  return Object.fromEntries(keys.map((key) => [key, record[key]]));
}

const ASCII = /^[\0-\x7f]*$/;

/** Shorter first, then by bytes. */
function compareKeys(a: string, b: string): number {
  if (!ASCII.test(a) || !ASCII.test(b)) {
    const [left, right] = [Buffer.from(a), Buffer.from(b)];
    return left.length - right.length || Buffer.compare(left, right);
  }
  return a.length - b.length || (a < b ? -1 : a > b ? 1 : 0);
}
