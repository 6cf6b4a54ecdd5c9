// How the workflow commands name their routes and show runs, lists and questions.

import { fields, type Row, table } from './output.ts';

export const BASE = '/api/agents/workflows';
export const pathOf = (id: string): string => `${BASE}/${encodeURIComponent(id)}`;

const HEAD = ['id', 'name', 'pattern', 'status', 'stopReason', 'progress', 'forkOf', 'output', 'error'];

export function show(workflow: Row): string {
  const { done, total } = (workflow.progress ?? {}) as { readonly done?: number; readonly total?: number };
  const { code, message } = (workflow.error ?? {}) as { readonly code?: string; readonly message?: string };
  const { workflowId: forkOf } = (workflow.forkOf ?? {}) as { readonly workflowId?: string };
  const head = {
    ...workflow,
    progress: `${done ?? 0} of ${total ?? 0}`,
    forkOf,
    error: code === undefined ? undefined : `${code}: ${message ?? ''}`,
  };
  const steps = workflow.tasks as Row[];
  const rows = steps.map((step) => ({ ...step, runs: step.taskId ?? step.workflowId, reason: reasonOf(step) }));
  const more = workflow.nextStep ? `\nmore steps: --steps-cursor ${workflow.nextStep}` : '';
  return [
    fields(head, HEAD),
    `${table(rows, ['id', 'state', 'capability', 'runs', 'attempts', 'reason'])}${more}`,
    ...hints(workflow, steps),
  ].join('\n\n');
}

function reasonOf({ reason, error }: Row): unknown {
  return reason ?? (error as { readonly code?: string } | undefined)?.code;
}

/** What the reader can do now. */
function hints({ id, status }: Row, steps: readonly Row[]): string[] {
  if (status === 'created') return [`not started: troupe workflow start ${id}`];
  if (status === 'paused') return [`paused: troupe workflow resume ${id}`];
  const asks = steps.some(({ state, taskId, reason }) => state === 'waiting' && !taskId && reason === undefined);
  return status === 'running' && asks ? [`waits for a person: troupe workflow inputs ${id}`] : [];
}

export function pageText({ items, nextCursor }: { items: Row[]; nextCursor: string | null }): string {
  const rows = table(items, ['id', 'name', 'pattern', 'status', 'stopReason']);
  return nextCursor === null ? rows : `${rows}\nmore: --cursor ${nextCursor}`;
}

export function inputsText({ items }: { items: Row[] }): string {
  const rows = items.map((item) => ({
    ...item,
    workflow: item.workflowId ?? '',
    step: item.step ?? '',
    task: item.taskId ?? '',
    expires: item.expiresAt,
  }));
  return table(rows, ['workflow', 'step', 'task', 'kind', 'state', 'prompt', 'expires']);
}

export const inputText = (input: Row): string =>
  fields(input, ['workflowId', 'step', 'kind', 'prompt', 'state', 'value', 'answeredBy']);
