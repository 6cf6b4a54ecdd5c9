// Moves items through the stages of a pipeline: what ended goes on, what has a place starts, a full queue stops the stage before it. Pure.

import type { CoordinationEvent, Verdict } from '../../runtime/contracts/coordination.ts';
import { type WireError, wireError } from '../../runtime/contracts/errors.ts';
import type { WorkflowSpec } from '../../runtime/contracts/workflow.ts';
import { appended, chunkAt, replaced } from '../common/chunks.ts';
import { ABSENT, descend, type Resolved, resolveInput } from '../common/references.ts';
import { taskOf } from '../common/step-start.ts';
import { finishPipeline, type PipelineFinish } from './end.ts';
import { type PipelineOptions, SOURCE } from './options.ts';
import {
  changeStage,
  type Draft,
  draftOf,
  type ItemState,
  initialState,
  itemCount,
  type PipelineState,
  passed,
  pipelinePlan,
  resultOf,
  sourceItem,
  stageAt,
} from './state.ts';

type Items = Extract<CoordinationEvent, { type: 'items' }>;

/** Dead letters beyond these are counted, not logged one by one. */
const MAX_LOGGED = 1_000;
const MAX_SHOWN = 50;
const MAX_MESSAGE = 200;
const NEW_ITEM: ItemState = { stage: 0 };

export function startPipeline(workflow: WorkflowSpec, options: PipelineOptions): Verdict<PipelineState> {
  return goOn(draftOf(workflow, options, initialState(workflow)));
}

export function decidePipeline(
  workflow: WorkflowSpec,
  options: PipelineOptions,
  state: PipelineState,
  event: CoordinationEvent,
): Verdict<PipelineState> {
  const unchanged: Verdict<PipelineState> = { state, commands: [], decisions: [] };
  if (state.ended !== null) return unchanged;
  switch (event.type) {
    case 'step.completed':
    case 'step.failed': {
      const stage = pipelinePlan(workflow).indexOf.get(event.step);
      // late, doubled, or never started
      if (stage === undefined || !stageAt(state, stage).running.includes(event.round)) return unchanged;
      const draft = draftOf(workflow, options, state);
      leave(draft, stage, event.round);
      if (event.type === 'step.completed') itemPassed(draft, stage, event.round, event.output ?? null);
      else itemDied(draft, stage, event.round, event.error, `step_${event.state}`);
      return goOn(draft);
    }
    case 'items': {
      if (!state.open) return unchanged;
      const draft = draftOf(workflow, options, state);
      if (!takeItems(draft, event)) return unchanged;
      return goOn(draft);
    }
    case 'cancel':
      return ended(draftOf(workflow, options, state), {
        status: 'cancelled',
        stopReason: 'cancelled',
        rule: event.reason,
      });
    case 'deadline': {
      const error = wireError('deadline_exceeded', 'the run had not ended by its deadline');
      return ended(draftOf(workflow, options, state), {
        status: 'failed',
        stopReason: 'deadline',
        rule: 'deadline',
        error,
      });
    }
    default:
      return unchanged;
  }
}

function ended(draft: Draft, finish: PipelineFinish): Verdict<PipelineState> {
  finishPipeline(draft, finish);
  return { state: draft.state, commands: draft.commands, decisions: draft.decisions };
}

/** Fills the stages from the last to the first, so that room made behind is used before it, then asks whether it is over. */
function goOn(draft: Draft): Verdict<PipelineState> {
  for (let stage = draft.plan.stages.length - 1; stage >= 0 && !tooMany(draft); stage--) fill(draft, stage);
  const failure = tooMany(draft);
  if (failure) return ended(draft, failure);
  const { workflow, state, commands, decisions } = draft;
  if (!state.open && state.completed + state.failed === itemCount(workflow, state)) return ended(draft, through(draft));
  return { state, commands, decisions };
}

function tooMany({ state, options }: Draft): PipelineFinish | null {
  const { maxFailedItems } = options;
  if (maxFailedItems === undefined || state.failed <= maxFailedItems) return null;
  const message = `${state.failed} items failed, at most ${maxFailedItems} may`;
  const error = wireError('attempts_exhausted', message, { failed: state.failed, dead: state.dead });
  return { status: 'failed', stopReason: 'items_failed', rule: 'max_failed_items', error };
}

function through({ state }: Draft): PipelineFinish {
  const { completed, failed, refused } = state;
  if (failed > 0 && completed === 0) {
    const error = wireError('attempts_exhausted', `every item failed: ${failed}`, { failed, dead: state.dead });
    return { status: 'failed', stopReason: 'items_failed', rule: 'no_item_came_through', error };
  }
  const status = failed + refused > 0 ? 'partial' : 'completed';
  return { status, stopReason: 'all_done', rule: 'source_ended' };
}

/** Starts what this stage has places for. */
function fill(draft: Draft, stage: number): void {
  const { concurrency = 1 } = draft.plan.stages[stage] ?? {};
  // looked at again each time: an item whose input cannot be made leaves its place at once
  for (;;) {
    // items held here need no place of their own: where there are any, the next queue is full
    if (stageAt(draft.state, stage).running.length >= concurrency || isFull(draft, stage + 1)) return;
    const index = takeNext(draft, stage);
    if (index === undefined) return;
    startItem(draft, stage, index);
    if (tooMany(draft)) return;
  }
}

/** Whether finished items of the stage before have no more room in front of this one. */
function isFull({ plan, state }: Draft, stage: number): boolean {
  const buffer = plan.stages[stage]?.buffer;
  return buffer !== undefined && stageAt(state, stage).queue.length >= buffer;
}

/** The item that waits longest; the room it leaves is taken by one that was held for it. */
function takeNext(draft: Draft, stage: number): number | undefined {
  const { state, workflow } = draft;
  if (stage === 0) {
    const index = state.items.size;
    if (index >= itemCount(workflow, state)) return undefined;
    state.items = appended(state.items, [NEW_ITEM]);
    return index;
  }
  const [index, ...queue] = stageAt(state, stage).queue;
  if (index === undefined) return undefined;
  const [waiting, ...held] = stageAt(state, stage - 1).held;
  changeStage(draft, stage, { queue: waiting === undefined ? queue : [...queue, waiting] });
  if (waiting !== undefined) changeStage(draft, stage - 1, { held });
  return index;
}

function startItem(draft: Draft, stage: number, index: number): void {
  const { plan, state } = draft;
  const definition = plan.stages[stage];
  if (!definition) return;
  const input = inputOf(draft, stage, index);
  if (!input.ok) {
    const message = `the input of "${definition.id}" refers to ${input.reference}, which item ${index} does not have`;
    itemDied(draft, stage, index, wireError('invalid_input', message, { stage: definition.id, index }), 'input');
    return;
  }
  changeStage(draft, stage, { running: [...stageAt(state, stage).running, index] });
  const reserve = definition.reserve === undefined ? {} : { reserve: definition.reserve };
  draft.commands.push({
    type: 'schedule',
    step: definition.id,
    round: index,
    task: taskOf(definition, input.value),
    ...reserve,
  });
}

function inputOf(draft: Draft, stage: number, index: number): Resolved {
  const { plan, state, workflow } = draft;
  const record = chunkAt(state.items, index) ?? NEW_ITEM;
  const source = sourceItem(workflow, state, index);
  const item = stage === 0 ? source : record.last;
  const template = plan.stages[stage]?.input;
  if (template === undefined) return { ok: true, value: item };
  return resolveInput(template, {
    from: ([name = '', ...rest]) => {
      const value = name === SOURCE ? source : resultOf(plan, record, name);
      return value === undefined ? ABSENT : descend(value, rest);
    },
    item,
    index,
    input: workflow.input,
  });
}

/** The item is no longer in the hands of this stage. */
function leave(draft: Draft, stage: number, index: number): void {
  const { running } = stageAt(draft.state, stage);
  changeStage(draft, stage, { running: running.filter((one) => one !== index) });
}

/** On into the next queue; when that is full the item keeps its place here. */
function itemPassed(draft: Draft, stage: number, index: number, output: unknown): void {
  const { state, plan, options } = draft;
  const item = passed(draft, chunkAt(state.items, index) ?? NEW_ITEM, output);
  state.items = replaced(state.items, index, item);
  const { done, held } = stageAt(state, stage);
  changeStage(draft, stage, { done: done + 1 });
  if (stage + 1 === plan.stages.length) {
    state.completed += 1;
    if (!options.ordered) state.finished = appended(state.finished, [index]);
  } else if (isFull(draft, stage + 1)) {
    changeStage(draft, stage, { held: [...held, index] });
  } else {
    changeStage(draft, stage + 1, { queue: [...stageAt(state, stage + 1).queue, index] });
  }
}

/** A poison item: it is put aside with its error, and the others go on. */
function itemDied(draft: Draft, stage: number, index: number, error: WireError, rule: string): void {
  const { state, plan, options, decisions } = draft;
  const id = plan.stages[stage]?.id ?? '';
  state.items = replaced(state.items, index, { ...(chunkAt(state.items, index) ?? NEW_ITEM), error });
  changeStage(draft, stage, { failed: stageAt(state, stage).failed + 1 });
  state.failed += 1;
  if (!options.ordered) state.finished = appended(state.finished, [index]);
  if (state.dead.length < MAX_SHOWN) state.dead = [...state.dead, { index, stage: id, code: error.code }];
  if (state.failed > MAX_LOGGED) return;
  const note = `${error.code}: ${error.message}`.slice(0, MAX_MESSAGE);
  decisions.push({ kind: 'dead_letter', rule, chosen: `item ${index}`, candidates: [{ id, note }] });
}

/** Takes items that came while it ran; false when nothing came of it. */
function takeItems(draft: Draft, { items, end }: Items): boolean {
  const { state, workflow, options, decisions } = draft;
  const room = options.maxItems - itemCount(workflow, state);
  const taken = items.slice(0, Math.max(0, room));
  const refused = items.length - taken.length;
  if (items.length === 0 && !end) return false;
  state.arrived = appended(state.arrived, taken);
  state.refused += refused;
  if (refused > 0) decisions.push({ kind: 'input', rule: 'max_items', chosen: `refused ${refused}` });
  if (end || refused > 0) {
    state.open = false;
    decisions.push({ kind: 'input', rule: 'source_closed', chosen: `${itemCount(workflow, state)} items` });
  }
  return true;
}
