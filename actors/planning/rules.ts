// Plans without a model: search every topic, analyse every data set, look again where nothing was found, then write it up. It keeps
// nothing between two turns: where it stands is read off the results, so that a turn may run twice.

import { TaskError } from '../../runtime/contracts/errors.ts';
import type { PlanInput, PlannedTask, SubtaskResult } from './plan-input.ts';
import {
  analyse,
  completed,
  foundBy,
  hasDocuments,
  isAnalysis,
  isSearch,
  REPORT,
  report,
  SURVEY,
  searchFor,
  survey,
  VERIFY,
  verify,
} from './subtasks.ts';
import { topicsOf } from './topics.ts';

export type Plan =
  | { readonly tasks: readonly PlannedTask[]; readonly why: string }
  | { readonly done: true; readonly output: unknown; readonly why: string };

/** @throws TaskError `nothing_to_work_on`, `nothing_found`: planning again would not help. */
export function planByRules(input: PlanInput): Plan {
  const { results, final } = input;
  const written = results.findLast((one) => one.id.startsWith(REPORT));
  if (written && completed(written))
    return { done: true, output: outcomeOf(input, written), why: 'the report is written' };
  if (final || written) return { done: true, output: outcomeOf(input), why: 'what there is, without a report' };
  if (results.length === 0) return { tasks: firstTasks(input), why: 'one search per topic, one analysis per data set' };
  const again = secondTasks(input);
  if (again.length > 0) return { tasks: again, why: 'look again for what failed or was not found' };
  if (!results.some(isWorth)) throw nothingFound(results);
  return { tasks: [report(input)], why: 'everything is in: write it up' };
}

function firstTasks({ goal, input }: PlanInput): PlannedTask[] {
  const { claims, data, topics } = input;
  const documents = hasDocuments(input);
  if (!documents && data.length === 0) {
    const message = 'there is nothing to work on: give the workflow an input with folder, documents or data';
    throw new TaskError('nothing_to_work_on', message, { retryable: false });
  }
  if (!documents) return data.map((file, at) => analyse(file, at + 1));
  return [
    survey(input),
    ...(topics ?? topicsOf(goal)).map((topic, at) => searchFor(topic, at + 1, input)),
    ...(claims.length === 0 ? [] : [verify(claims, input)]),
    ...data.map((file, at) => analyse(file, at + 1)),
  ];
}

/** Where topics gave nothing the goal as a whole may; what failed, and not for good, is tried once more under another id. */
function secondTasks({ goal, input, results, round }: PlanInput): PlannedTask[] {
  if (round > 1) return [];
  const first = new Map(firstTasks({ goal, input } as PlanInput).map((task) => [task.id, task]));
  const failed = results.filter(
    (one) => !completed(one) && one.error?.retryable !== false && (isSearch(one) || isAnalysis(one)),
  );
  const again = failed.flatMap(({ id }) => {
    const task = first.get(id);
    return task ? [{ ...task, id: `${id}-again` }] : [];
  });
  const searches = results.filter((one) => isSearch(one) && completed(one));
  const nothing = searches.length > 0 && searches.every((one) => foundBy(one) === 0);
  const whole = goal.trim().slice(0, 1_000);
  const asked = [...first.values()].some((task) => task.input.question === whole);
  return nothing && !asked ? [...again, searchFor(whole, searches.length + 1, input)] : again;
}

const isWorth = (one: SubtaskResult): boolean =>
  completed(one) && (isSearch(one) || isAnalysis(one) || one.id === SURVEY || one.id === VERIFY);

function nothingFound(results: readonly SubtaskResult[]): TaskError {
  const [first] = results.filter((one) => !completed(one));
  const message = `every subtask failed; the first: ${first?.error?.message ?? first?.status ?? 'without a reason'}`;
  return new TaskError('nothing_found', message, { retryable: false });
}

/** The report, or without one what each subtask came to. */
function outcomeOf({ results, reason }: PlanInput, written?: SubtaskResult): Record<string, unknown> {
  const failed = results
    .filter((one) => !completed(one))
    .map(({ id, status, error }) => ({ id, status, reason: error?.message ?? null }));
  const searches = results.filter(isSearch).map((one) => ({ id: one.id, passages: foundBy(one) }));
  const report = written
    ? { report: written.result }
    : { report: null, completed: results.filter(completed).map(({ id }) => id) };
  return { ...report, searches, failed, ...(reason === undefined ? {} : { limit: reason }) };
}
