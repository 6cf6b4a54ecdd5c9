// What a coordinator remembers of its run: the state of the strategy, the rounds in flight, the times. Made by events alone, so a
// snapshot and the journal after it give the same memory again. Pure.

import type { CoordinationCommand, CoordinationEvent, Decision } from '../contracts/coordination.ts';
import { fromUuid, type TaskId, uuidV7, type WorkflowId } from '../contracts/ids.ts';
import type { StepTiming } from './analytics.ts';
import { type Definition, hashOf } from './definition.ts';

/** A round whose task has not ended. */
export interface InFlight {
  readonly step: string;
  readonly round: number;
  readonly taskId: TaskId;
  readonly scheduledAtMs: number;
}

/** Plain JSON: also the snapshot. */
export interface RunMemory {
  readonly format: 1;
  readonly state: unknown;
  readonly inFlight: readonly InFlight[];
  readonly timings: readonly StepTiming[];
  readonly startedAtMs: number;
  /** Events so far: the length of the journal. */
  readonly events: number;
  readonly ended: boolean;
}

export interface Remembered {
  readonly memory: RunMemory;
  readonly commands: readonly CoordinationCommand[];
  readonly decisions: readonly Decision[];
}

export const stepKey = (step: string, round: number): string => `${step}/${round}`;

/** The id of the task of one round: the same whoever computes it, so that a decision made twice names one task. */
export function taskIdOf(workflowId: WorkflowId, step: string, round: number, atMs: number): TaskId {
  const random = Buffer.from(hashOf([workflowId, step, round]), 'hex');
  return fromUuid('task', uuidV7(atMs, random.subarray(0, 10)));
}

/** Takes one event. Events before the start and after the end change nothing. */
export function remember(
  definition: Definition,
  workflowId: WorkflowId,
  before: RunMemory | null,
  event: CoordinationEvent,
): Remembered {
  const nothing = { commands: [], decisions: [] };
  if (before?.ended) return { memory: { ...before, events: before.events + 1 }, ...nothing };
  const { strategy, spec, options } = definition;
  if (before === null) {
    const early = {
      format: 1,
      state: null,
      inFlight: [],
      timings: [],
      startedAtMs: event.atMs,
      events: 0,
      ended: false,
    } as const;
    if (event.type !== 'started') throw new TypeError(`a run begins with "started", not with "${event.type}"`);
    const verdict = strategy.start(spec, options, event);
    return { ...verdict, memory: after(early, verdict.state, verdict.commands, workflowId, event) };
  }
  if (event.type === 'started') return { memory: { ...before, events: before.events + 1 }, ...nothing };
  const verdict = strategy.decide(spec, options, before.state, event);
  return { ...verdict, memory: after(before, verdict.state, verdict.commands, workflowId, event) };
}

function after(
  before: RunMemory,
  state: unknown,
  commands: readonly CoordinationCommand[],
  workflowId: WorkflowId,
  event: CoordinationEvent,
): RunMemory {
  const ended = endedRound(before, event);
  let inFlight = ended ? before.inFlight.filter((one) => one !== ended) : before.inFlight;
  const added: InFlight[] = [];
  const cancelled = new Set<string>();
  for (const command of commands) {
    if (command.type === 'cancel') cancelled.add(stepKey(command.step, command.round));
    if (command.type !== 'schedule') continue;
    const { step, round } = command;
    added.push({ step, round, taskId: taskIdOf(workflowId, step, round, event.atMs), scheduledAtMs: event.atMs });
  }
  if (added.length > 0) inFlight = [...inFlight, ...added];
  if (cancelled.size > 0) inFlight = inFlight.filter((one) => !cancelled.has(stepKey(one.step, one.round)));
  const over = commands.some((command) => command.type === 'end');
  return {
    ...before,
    state,
    inFlight: over ? [] : inFlight,
    timings: ended && 'startedAtMs' in event ? [...before.timings, timingOf(ended, event)] : before.timings,
    events: before.events + 1,
    ended: over,
  };
}

function endedRound(memory: RunMemory, event: CoordinationEvent): InFlight | undefined {
  if (event.type !== 'step.completed' && event.type !== 'step.failed') return undefined;
  return memory.inFlight.find((one) => one.step === event.step && one.round === event.round);
}

function timingOf(one: InFlight, event: { readonly atMs: number; readonly startedAtMs: number | null }): StepTiming {
  const { step, round, scheduledAtMs } = one;
  return { step, round, scheduledAtMs, startedAtMs: event.startedAtMs, endedAtMs: event.atMs };
}
