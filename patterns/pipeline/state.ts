// Where the items of a pipeline are: in the queue of a stage, in its hands, finished but without a place in the next queue, or through.
// One event copies the stages it touches and one chunk of items, however many items there are.

import type { CoordinationCommand, Decision, StopReason } from '../../runtime/contracts/coordination.ts';
import type { WireError } from '../../runtime/contracts/errors.ts';
import type { Stage, WorkflowSpec } from '../../runtime/contracts/workflow.ts';
import { type Chunks, chunkAt, noChunks } from '../common/chunks.ts';
import { findReferences } from '../common/references.ts';
import type { PipelineOptions } from './options.ts';

/** Items by their number. */
export interface StageState {
  /** Wait for this stage; never more than its `buffer`. The first stage has none: its items wait in the source. */
  readonly queue: readonly number[];
  readonly running: readonly number[];
  /** Done here, but the next queue is full: they keep their place here until it has room (blocking after service). */
  readonly held: readonly number[];
  readonly done: number;
  readonly failed: number;
}

/** An item that has begun. */
export interface ItemState {
  /** The stage it is in or waits for; after the last one: the number of stages. */
  readonly stage: number;
  /** What the stage before gave; absent in the first. */
  readonly last?: unknown;
  /** Results of stages before that one, as far as they are kept. */
  readonly kept?: Readonly<Record<string, unknown>>;
  /** Of a dead letter. */
  readonly error?: WireError;
}

export interface PipelineState {
  readonly ended: StopReason | null;
  /** More items may come. */
  readonly open: boolean;
  /** Items beyond those of the definition, in order of arrival. */
  readonly arrived: Chunks<unknown>;
  /** Items that came when there were `maxItems` already. */
  readonly refused: number;
  readonly items: Chunks<ItemState>;
  readonly stages: readonly StageState[];
  readonly completed: number;
  readonly failed: number;
  /** Numbers of finished items in order of completion; kept for `ordered: false` only. */
  readonly finished: Chunks<number>;
  /** The first dead letters, for the picture. */
  readonly dead: readonly { readonly index: number; readonly stage: string; readonly code: string }[];
}

type Mutable<T> = { -readonly [Key in keyof T]: T[Key] };

/** One decision in the making. */
export interface Draft {
  readonly workflow: WorkflowSpec;
  readonly options: PipelineOptions;
  readonly plan: PipelinePlan;
  readonly state: Mutable<PipelineState> & { stages: StageState[] };
  readonly commands: CoordinationCommand[];
  readonly decisions: Decision[];
}

/** Of a definition: its stages, their numbers, and which results a later stage refers to. */
export interface PipelinePlan {
  readonly stages: readonly Stage[];
  readonly indexOf: ReadonlyMap<string, number>;
  readonly referred: ReadonlySet<string>;
}

const plans = new WeakMap<WorkflowSpec, PipelinePlan>();

export function pipelinePlan(workflow: WorkflowSpec): PipelinePlan {
  const known = plans.get(workflow);
  if (known) return known;
  const stages = workflow.stages ?? [];
  const references = stages.flatMap(({ input }) => findReferences(input));
  const plan = {
    stages,
    indexOf: new Map(stages.map(({ id }, at) => [id, at])),
    referred: new Set(references.flatMap((one) => (one.type === 'from' ? [one.path[0] ?? ''] : []))),
  };
  plans.set(workflow, plan);
  return plan;
}

export function initialState(workflow: WorkflowSpec): PipelineState {
  const stages = pipelinePlan(workflow).stages.map(() => ({ queue: [], running: [], held: [], done: 0, failed: 0 }));
  return {
    ended: null,
    open: workflow.open ?? false,
    arrived: noChunks(),
    refused: 0,
    items: noChunks(),
    stages,
    completed: 0,
    failed: 0,
    finished: noChunks(),
    dead: [],
  };
}

export function draftOf(workflow: WorkflowSpec, options: PipelineOptions, state: PipelineState): Draft {
  const copy = { ...state, stages: [...state.stages] };
  return { workflow, options, plan: pipelinePlan(workflow), state: copy, commands: [], decisions: [] };
}

const NO_STAGE: StageState = { queue: [], running: [], held: [], done: 0, failed: 0 };
export const stageAt = (state: PipelineState, stage: number): StageState => state.stages[stage] ?? NO_STAGE;

export function changeStage(draft: Draft, stage: number, change: Partial<StageState>): void {
  draft.state.stages[stage] = { ...stageAt(draft.state, stage), ...change };
}

export const itemCount = (workflow: WorkflowSpec, state: PipelineState): number =>
  (workflow.items?.length ?? 0) + state.arrived.size;

/** The item as it came. */
export function sourceItem(workflow: WorkflowSpec, state: PipelineState, index: number): unknown {
  const given = workflow.items ?? [];
  return (index < given.length ? given[index] : chunkAt(state.arrived, index - given.length)) ?? null;
}

/** What a stage gave for this item: of the one before the current always, of earlier ones as far as they are kept. */
export function resultOf(plan: PipelinePlan, item: ItemState, id: string): unknown {
  const before = plan.stages[item.stage - 1];
  if (before?.id === id) return item.last;
  return item.kept && Object.hasOwn(item.kept, id) ? item.kept[id] : undefined;
}

/** The item with the result of the stage it was in. */
export function passed(draft: Draft, item: ItemState, output: unknown): ItemState {
  const before = draft.plan.stages[item.stage - 1];
  const keeps = before && (draft.options.keepStages || draft.plan.referred.has(before.id));
  const kept = keeps ? { ...item.kept, [before.id]: item.last } : item.kept;
  return { stage: item.stage + 1, last: output, ...(kept ? { kept } : {}) };
}
