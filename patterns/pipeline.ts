// Pipeline (pipes and filters, Buschmann et al. 1996; staged event-driven architecture, Welsh et al. 2001): items flow through stages
// that work at the same time, with a bounded queue between any two.

import type { CoordinationStrategy } from '../runtime/contracts/coordination.ts';
import { checkPipeline, type PipelineOptions, pipelineOptionsSchema } from './pipeline/options.ts';
import { decidePipeline, startPipeline } from './pipeline/run.ts';
import type { PipelineState } from './pipeline/state.ts';
import { pipelinePicture, pipelineProgress, pipelineSteps } from './pipeline/view.ts';

/**
 * Input: `stages` (`id`, `capability`, `concurrency` 1, `buffer` 8, `input`), and `items`, or `open: true` with items that come while it
 * runs until the source is closed, or both. An item's number is its place in the order of arrival, from 0; a step is a stage, its round
 * the number of the item. Inside `input` of a stage, `{ "$item": "field" }` is what the stage before gave (the item itself in the first),
 * `{ "$index": true }` the number, `{ "$from": "stage.field" }` what an earlier stage gave for this item, `{ "$from": "item.field" }` the
 * item as it came, `{ "$input": "field" }` the input of the workflow. Without `input` a stage gets what the stage before gave.
 *
 * Output: `{ items: [{ index, status, result, stages }] }` with every item that was known: `completed`, `dead_letter` (with `stage` and
 * `error`) or `cancelled` (not through when the run ended). In input order; under `ordered: false` in order of completion.
 * `refused` counts what an open source was given beyond `maxItems`.
 *
 * Defaults: `ordered` true, `keepStages` true, `maxFailedItems` none, `maxItems` 100,000.
 *
 * | What happens | What follows |
 * |---|---|
 * | a stage fails for an item (retries of its task used up) | the item is a dead letter, the others go on |
 * | the input of a stage refers to a field the item does not have | the same, without a task (`invalid_input`) |
 * | an agent dies with the item in its hands | the item's task is tried again; the pipeline does not see it |
 * | more than `maxFailedItems` dead letters | `failed`/`items_failed`, the rest is cancelled |
 * | no item came through at all | `failed`/`items_failed` |
 * | some items are dead letters or were refused | `partial`/`all_done` |
 * | `cancel`, `deadline` | `cancelled`/`cancelled`, `failed`/`deadline`; the output has what was done |
 *
 * Stops: `all_done` once the source has ended and every queue is empty, `items_failed`, `cancelled`, `deadline`.
 * Guarantees: an item passes the stages in their order, each of them once; a queue never holds more than `buffer`, a stage never works
 * on more than `concurrency` items, and counts among them those that are finished but find the next queue full: so a slow stage stops
 * the ones before it, and an item in a pipeline is always in exactly one place.
 */
export const pipeline: CoordinationStrategy<PipelineOptions, PipelineState> = {
  name: 'pipeline',
  revision: 1,
  options: pipelineOptionsSchema,
  check: checkPipeline,
  start: (workflow, options) => startPipeline(workflow, options),
  decide: decidePipeline,
  steps: (workflow, _options, state) => pipelineSteps(workflow, state),
  progress: pipelineProgress,
  capabilities: ({ stages = [] }) =>
    stages.map(({ capability }, at) => ({ capability, path: `stages[${at}].capability` })),
  picture: (workflow, _options, state) => pipelinePicture(workflow, state),
};
