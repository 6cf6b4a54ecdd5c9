// Where a hierarchical run stands: whose turn it is, the subtasks of all rounds as one growing graph, what limits were met.

import type { CoordinationCommand, Decision, Verdict } from '../../runtime/contracts/coordination.ts';
import type { WorkflowSpec, WorkflowTask } from '../../runtime/contracts/workflow.ts';
import { dagPlan } from '../dag/plan.ts';
import type { DagPolicy } from '../dag/policy.ts';
import { type DagState, type Draft, draftOf, initialState } from '../dag/state.ts';
import type { HierarchicalOptions } from './options.ts';
import { graphOf, type Limit } from './plan.ts';

export interface HierarchicalState {
  /** `planning`: the coordinator has a turn; `working`: subtasks run; `synthesis`: the result is made of the results. */
  readonly phase: 'planning' | 'working' | 'synthesis' | 'ended';
  /** Turns the coordinator has begun: the last one is the round `turns - 1` of the step `plan`. */
  readonly turns: number;
  /** A turn of the coordinator, or the synthesis, is in flight. */
  readonly asked: boolean;
  /** The last turn gave no answer at all. */
  readonly turnFailed: boolean;
  /** What is wrong with the last answer; null: nothing. */
  readonly error: string | null;
  /** The limit that was met: no further plan is carried out. */
  readonly limit: Limit | null;
  /** Number of subtasks of each round. */
  readonly rounds: readonly number[];
  /** Subtasks of all rounds in the order they were planned. */
  readonly tasks: readonly WorkflowTask[];
  readonly dag: DagState;
  /** What the coordinator gave as it ended; null before. */
  readonly output: unknown;
  /** What the synthesis made of it. */
  readonly synthesis: unknown;
}

type Mutable<T> = { -readonly [Key in keyof T]: T[Key] };

/** One decision in the making. */
export interface HierarchicalDraft {
  readonly workflow: WorkflowSpec;
  readonly options: HierarchicalOptions;
  readonly state: Mutable<HierarchicalState>;
  readonly commands: CoordinationCommand[];
  readonly decisions: Decision[];
}

export function begin(workflow: WorkflowSpec, options: HierarchicalOptions): HierarchicalDraft {
  const state: HierarchicalState = {
    phase: 'planning',
    turns: 0,
    asked: false,
    turnFailed: false,
    error: null,
    limit: null,
    rounds: [],
    tasks: [],
    dag: initialState(dagPlan(graphOf(workflow, []))),
    output: null,
    synthesis: null,
  };
  return { workflow, options, state, commands: [], decisions: [] };
}

export const goOnFrom = (
  workflow: WorkflowSpec,
  options: HierarchicalOptions,
  state: HierarchicalState,
): HierarchicalDraft => ({ workflow, options, state: { ...state }, commands: [], decisions: [] });

export const verdictOf = ({ state, commands, decisions }: HierarchicalDraft): Verdict<HierarchicalState> => ({
  state,
  commands,
  decisions,
});

// Derived from the subtasks alone, so remembering it changes no answer; it goes when they go.
const graphs = new WeakMap<readonly WorkflowTask[], WorkflowSpec>();

export function graphOfState(workflow: WorkflowSpec, { tasks }: Pick<HierarchicalState, 'tasks'>): WorkflowSpec {
  const known = graphs.get(tasks);
  if (known) return known;
  const graph = graphOf(workflow, tasks);
  graphs.set(tasks, graph);
  return graph;
}

const policyOf = ({ maxConcurrency }: HierarchicalOptions): DagPolicy => ({
  maxConcurrency,
  join: 'allSettled',
  failure: 'step_failed',
  leftover: 'cancelled',
  sink: () => null,
});

/** Changes the graph of the subtasks; what it commands and decides is said in this draft. */
export function inGraph<Result>(draft: HierarchicalDraft, change: (graph: Draft) => Result): Result {
  const { workflow, options, state, commands, decisions } = draft;
  const spec = graphOfState(workflow, state);
  const graph: Draft = { ...draftOf(spec, dagPlan(spec), policyOf(options), state.dag), commands, decisions };
  const result = change(graph);
  state.dag = graph.state;
  return result;
}
