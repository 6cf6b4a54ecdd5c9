// A fork: the outcomes of an earlier run that a new one takes over. Read from the journal, so that it is what the strategy saw.

import type { CoordinationEvent } from '../contracts/coordination.ts';
import { RuntimeError } from '../contracts/errors.ts';
import type { WorkflowId } from '../contracts/ids.ts';
import type { Recorded } from '../contracts/store.ts';
import type { WorkflowSpec } from '../contracts/workflow.ts';
import type { Definition } from './definition.ts';
import { remember } from './remember.ts';
import { stepKey } from './run-ids.ts';
import type { RunMemory } from './run-memory.ts';

/** What a definition may have. */
const MOST_ITEMS = 100_000;

/**
 * Completed rounds by `step/round`. With `fromStep`: without that step and all that depends on it; in patterns whose steps have no
 * dependencies, only what had completed before that step was first started. Throws `workflow_invalid`, `definition_changed`.
 */
export function recordedOf(
  definition: Definition,
  id: WorkflowId,
  journal: readonly CoordinationEvent[],
  fromStep: string | undefined,
): Recorded {
  const { strategy, spec, options } = definition;
  const recorded: Record<string, unknown> = {};
  let memory: RunMemory | null = null;
  let started = false;
  const anew = fromStep === undefined ? undefined : dependants(definition, fromStep);
  const graph = anew !== undefined && strategy.steps(spec, options, null).some(({ dependsOn }) => dependsOn.length > 0);
  for (const event of journal) {
    const known: RunMemory | null = memory;
    const wanted =
      event.type === 'step.completed' &&
      known?.inFlight.some((one) => one.step === event.step && one.round === event.round) &&
      !event.step.startsWith('$');
    if (wanted && !anew?.has(event.step) && (graph || !started))
      recorded[stepKey(event.step, event.round)] = event.output;
    try {
      const taken = remember(definition, id, known, event);
      memory = taken.memory;
      started ||= taken.commands.some((command) => 'step' in command && command.step === fromStep);
    } catch (cause) {
      throw new RuntimeError('definition_changed', 'the journal of the run can no longer be replayed', { cause });
    }
  }
  if (fromStep !== undefined && !started) {
    const message = `fromStep: the run never started a step "${fromStep}"`;
    throw new RuntimeError('workflow_invalid', message, { details: { path: 'fromStep' } });
  }
  return recorded;
}

/** With the items that were appended while the run ran: a fork has them from the start. Its source is open only if that of the run still was. */
export function withAppended(spec: WorkflowSpec, journal: readonly CoordinationEvent[]): WorkflowSpec {
  if (!spec.open) return spec;
  const items = [...(spec.items ?? [])];
  let open = true;
  for (const event of journal) {
    if (event.type !== 'items' || !open) continue;
    items.push(...event.items);
    open = !event.end;
  }
  // nothing came before the source was closed: there is nothing to do again
  if (items.length === 0) return spec;
  // what the run refused is not taken now either
  const { maxItems } = spec.options;
  const most = typeof maxItems === 'number' ? Math.min(maxItems, MOST_ITEMS) : MOST_ITEMS;
  return { ...spec, items: items.slice(0, most), open };
}

function dependants({ strategy, spec, options }: Definition, step: string): ReadonlySet<string> {
  const views = strategy.steps(spec, options, null);
  const found = new Set([step]);
  for (let grew = true; grew; ) {
    grew = false;
    for (const { id, dependsOn } of views) {
      if (found.has(id) || !dependsOn.some((name) => found.has(name))) continue;
      found.add(id);
      grew = true;
    }
  }
  return found;
}
