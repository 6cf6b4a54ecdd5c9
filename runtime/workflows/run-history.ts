// A run as it stood after an event of its journal: the journal is replayed that far. Pure.

import type { CoordinationEvent, CoordinationStrategy } from '../contracts/coordination.ts';
import { RuntimeError } from '../contracts/errors.ts';
import type { JournalEntry, WorkflowMoment } from '../contracts/history.ts';
import type { WorkflowRow } from '../contracts/store.ts';
import type { TaskView } from '../contracts/task.ts';
import { definitionOf, strategiesByName } from './definition.ts';
import { remember } from './remember.ts';
import type { RunMemory } from './run-memory.ts';
import { type StepsWanted, stepPage } from './step-page.ts';

type Step = WorkflowMoment['tasks'][number];

export interface MomentParts {
  readonly strategies: readonly CoordinationStrategy[];
  readonly row: WorkflowRow;
  /** From its beginning; the last one is the moment. */
  readonly journal: readonly JournalEntry[];
  /** Events in the whole journal. */
  readonly total: number;
  readonly page: StepsWanted;
  /** Rows of the tasks of these steps, of all rounds. */
  readonly tasksOf: (steps: readonly string[]) => Promise<readonly TaskView[]>;
}

/** Throws `definition_changed` when the journal does not begin at its beginning or decides otherwise today. */
export async function momentOf({
  strategies,
  row,
  journal,
  total,
  page,
  tasksOf,
}: MomentParts): Promise<WorkflowMoment> {
  const last = journal.at(-1);
  if (!last || journal[0]?.seq !== 1)
    throw new RuntimeError('definition_changed', 'the beginning of the journal is no longer kept');
  const { strategy, spec, options } = definitionOf(strategiesByName(strategies), row);
  let memory: RunMemory | null = null;
  let decisions: WorkflowMoment['decisions'] = [];
  try {
    for (const { event } of journal) {
      const taken = remember(
        { strategy, spec, options, defHash: row.defHash },
        row.id,
        memory,
        event as CoordinationEvent,
      );
      memory = taken.memory;
      decisions = taken.decisions as unknown as WorkflowMoment['decisions'];
    }
  } catch (cause) {
    throw new RuntimeError('definition_changed', 'the journal of the run can no longer be replayed', { cause });
  }
  const state = memory?.state ?? null;
  const read = strategy.page
    ? (range: { from: number; to: number }) => strategy.page?.(spec, options, state, range) ?? { steps: [], total: 0 }
    : ({ from, to }: { from: number; to: number }) => {
        const steps = strategy.steps(spec, options, state);
        return { steps: steps.slice(from, to), total: steps.length };
      };
  const { steps, next } = stepPage(read, page);
  const rows = await tasksOf(steps.map(({ id }) => id));
  const asked = new Set(memory?.inFlight.flatMap(({ kind, step }) => (kind === 'input' ? [step] : [])));
  const all = strategy.progress ? null : strategy.steps(spec, options, state);
  const picture = memory && strategy.picture?.(spec, options, memory.state);
  return {
    seq: last.seq,
    total,
    at: last.at,
    event: last.event,
    paused: memory?.paused ?? false,
    ended: memory?.ended ?? false,
    progress: strategy.progress?.(spec, state) ?? {
      done: all?.filter((step) => ENDED.has(step.state)).length ?? 0,
      total: all?.length ?? 0,
    },
    tasks: steps.map((step): Step => {
      const own = { ...step, dependsOn: [...step.dependsOn] };
      if (step.state === 'queued' && asked.has(step.id)) return { ...own, state: 'waiting' };
      return {
        ...own,
        ...thenOf(
          step.state,
          rows.filter(({ stepKey }) => stepKey === step.id),
          last.at,
        ),
      };
    }),
    nextStep: next,
    ...(picture === null || picture === undefined ? {} : { picture }),
    decisions,
  };
}

const ENDED: ReadonlySet<string> = new Set(['completed', 'failed', 'skipped', 'cancelled']);

/** What the rows of its tasks say of a step at that time. */
function thenOf(state: Step['state'], rows: readonly TaskView[], at: string): Partial<Step> {
  const atMs = Date.parse(at);
  const there = (time: string | null): boolean => time !== null && Date.parse(time) <= atMs;
  const task = rows.filter(({ timings }) => there(timings.submittedAt)).sort((a, b) => (a.id < b.id ? 1 : -1))[0];
  if (!task) return {};
  const { startedAt, endedAt } = task.timings;
  return {
    taskId: task.id,
    agentId: there(startedAt) ? task.agentId : null,
    startedAt: there(startedAt) ? startedAt : null,
    endedAt: there(endedAt) ? endedAt : null,
    ...(state === 'queued' && there(startedAt) ? { state: 'running' as const } : {}),
  };
}
