// The subtasks a plan is made of: searches, checks and a survey of documents, analyses of data, a report. Ids tell what they are.

import type { PlanInput, PlannedTask, Sources, SubtaskResult } from './plan-input.ts';

export const REPORT = 'report';
export const VERIFY = 'verify';
export const SURVEY = 'survey';
const SEARCH = 'search-';
const ANALYSE = 'analyse-';
const MAX_QUESTION_CHARS = 1_000;

export const hasDocuments = ({ folder, documents }: Sources): boolean =>
  folder !== undefined || documents !== undefined;

const sourceOf = ({ folder, documents }: Sources): Record<string, unknown> =>
  documents ? { documents } : { folder: folder ?? '.' };

export const searchFor = (question: string, number: number, sources: Sources): PlannedTask => ({
  id: `${SEARCH}${number}`,
  capability: 'document.search',
  input: { question, ...sourceOf(sources) },
});

export const survey = (sources: Sources): PlannedTask => ({
  id: SURVEY,
  capability: 'document.survey',
  input: sourceOf(sources),
});

export const verify = (claims: readonly string[], sources: Sources): PlannedTask => ({
  id: VERIFY,
  capability: 'fact.verify',
  input: { claims, ...sourceOf(sources) },
});

/** Called after its file; files of one name are told apart by their number. */
export const analyse = (file: string, number: number): PlannedTask => {
  const name = (file.split('/').at(-1) ?? '')
    .replace(/\.[^.]*$/, '')
    .replace(/[^A-Za-z0-9_-]+/g, '-')
    .slice(0, 60);
  return {
    id: `${ANALYSE}${number}-${name || 'data'}`.replace(/-+$/, ''),
    capability: 'dataset.analyse',
    input: { file },
  };
};

export const isSearch = ({ id }: { readonly id: string }): boolean => id.startsWith(SEARCH);
export const isAnalysis = ({ id }: { readonly id: string }): boolean => id.startsWith(ANALYSE);
export const completed = ({ status }: SubtaskResult): boolean => status === 'completed';

/** Passages that a search found; 0 when it failed. */
export function foundBy({ status, result }: SubtaskResult): number {
  const passages = (result as { passages?: unknown } | null | undefined)?.passages;
  return status === 'completed' && Array.isArray(passages) ? passages.length : 0;
}

/** A report of everything that completed, by reference: the results travel once. */
export function report({ goal, input, results }: PlanInput, id = REPORT): PlannedTask {
  const done = results.filter(completed);
  const from = (which: (one: SubtaskResult) => boolean) => done.filter(which).map(({ id: of }) => ({ $from: of }));
  return {
    id,
    capability: 'report.write',
    input: {
      question: goal.slice(0, MAX_QUESTION_CHARS),
      ...(input.folder === undefined ? {} : { folder: input.folder }),
      searches: from(isSearch),
      datasets: from(isAnalysis),
      ...(done.some((one) => one.id === SURVEY) ? { survey: { $from: SURVEY } } : {}),
      ...(done.some((one) => one.id === VERIFY) ? { findings: { $from: `${VERIFY}.findings` } } : {}),
    },
  };
}
