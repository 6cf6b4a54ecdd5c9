// Where an auction stands: a lot per task with its bid book. Plain JSON, never changed: a decision works on a copy.

import type { Bid, CoordinationCommand, Decision } from '../../runtime/contracts/coordination.ts';
import type { WireError } from '../../runtime/contracts/errors.ts';
import type { WorkflowSpec, WorkflowTask } from '../../runtime/contracts/workflow.ts';
import type { AuctionOptions } from './options.ts';

/** One addressee of one call. */
export interface Entry {
  readonly agentId: string;
  readonly name: string | null;
  /** When it was called. */
  readonly load: number;
  readonly round: number;
  readonly bid: Bid | null;
  /** Of a valid bid, once the call is closed. */
  readonly score: number | null;
  /**
   * `silent`: no answer yet, or none before the close. `bid`: sealed until the close. `lost`: valid, not awarded (FIPA reject-proposal).
   * `won`: has the task, or has done it. `failed`: had the task and did not do it. `late`: came after the close.
   */
  readonly outcome: 'silent' | 'bid' | 'won' | 'lost' | 'refused' | 'late' | 'invalid' | 'failed';
  readonly reason?: string;
}

export interface Lot {
  /** `waiting`: for its turn. `finding`, `absent` (nobody was there, looked for again soon), `calling`: under the hammer. `running`: awarded. The last three are final. */
  readonly phase: 'waiting' | 'finding' | 'absent' | 'calling' | 'running' | 'done' | 'lost' | 'cancelled';
  /** Of the call. */
  readonly round: number;
  /** Looks of this round that found nobody. */
  readonly looks: number;
  /** Awards made so far; the number of the next one is the round of its step. */
  readonly awards: number;
  /** How often the call was widened. */
  readonly widened: number;
  readonly book: readonly Entry[];
  /** Agents that had the task and failed: they are not called again. */
  readonly failed: readonly string[];
  /** Has the task now, or has done it; null: nobody, or whoever took a direct assignment. */
  readonly winner: string | null;
  readonly price: number | null;
  readonly secondPrice: number | null;
  readonly result?: unknown;
  readonly error?: WireError;
  readonly reason?: 'no_bids' | 'rounds_used_up';
}

export interface AuctionState {
  readonly phase: 'running' | 'ended';
  /** In the order of the tasks. */
  readonly lots: readonly Lot[];
  /** The first lot that has not had its turn. */
  readonly next: number;
  /** Lots whose turn it is. */
  readonly active: number;
  /** Lots that ended, and of these the ones that were done. */
  readonly ended: number;
  readonly done: number;
  /** The first lot that was lost. */
  readonly firstLost: number | null;
}

type Mutable<T> = { -readonly [Key in keyof T]: T[Key] };

export interface Draft {
  readonly workflow: WorkflowSpec;
  readonly options: AuctionOptions;
  readonly state: Mutable<AuctionState> & { lots: Lot[] };
  readonly commands: CoordinationCommand[];
  readonly decisions: Decision[];
}

const NEW: Lot = {
  phase: 'waiting',
  round: 0,
  looks: 0,
  awards: 0,
  widened: 0,
  book: [],
  failed: [],
  winner: null,
  price: null,
  secondPrice: null,
};

export const initialState = ({ tasks }: WorkflowSpec): AuctionState => ({
  phase: 'running',
  lots: tasks.map(() => NEW),
  next: 0,
  active: 0,
  ended: 0,
  done: 0,
  firstLost: null,
});

export function draftOf(workflow: WorkflowSpec, options: AuctionOptions, state: AuctionState): Draft {
  return { workflow, options, state: { ...state, lots: [...state.lots] }, commands: [], decisions: [] };
}

export const lotAt = (state: Pick<AuctionState, 'lots'>, at: number): Lot => state.lots[at] ?? NEW;

export function changeLot(draft: Draft, at: number, change: Partial<Lot>): void {
  draft.state.lots[at] = { ...lotAt(draft.state, at), ...change };
}

export function taskAt(workflow: WorkflowSpec, at: number): WorkflowTask & { readonly capability: string } {
  const task = workflow.tasks[at];
  if (task?.capability === undefined) throw new RangeError(`no task ${at}`);
  return { ...task, capability: task.capability };
}

/** No task id can hold a colon, so that a call never has the name of a step that runs. */
export const callStep = (taskId: string): string => `${taskId}:call`;

/** Of the closing timer of a round. */
export const roundKey = (taskId: string, round: number): string => `${taskId}:${round}`;

/** Of a `find` and, once it found nobody, of the timer before the next one: no look has the name of another. */
export const lookKey = (taskId: string, { round, looks }: Pick<Lot, 'round' | 'looks'>): string =>
  looks === 0 ? roundKey(taskId, round) : `${roundKey(taskId, round)}.${looks}`;

export const isFinal = ({ phase }: Lot): boolean => phase === 'done' || phase === 'lost' || phase === 'cancelled';

/** Position of a task by its id; -1 if there is none. Built once per definition. */
export function lotOf(workflow: WorkflowSpec, taskId: string): number {
  let index = indexes.get(workflow);
  if (!index) {
    index = new Map(workflow.tasks.map(({ id }, at) => [id, at]));
    indexes.set(workflow, index);
  }
  return index.get(taskId) ?? -1;
}
const indexes = new WeakMap<WorkflowSpec, ReadonlyMap<string, number>>();
