// What the view of one run reads, and how often: while it goes on every second, once it has ended no more.

import { useSignal } from '@preact/signals';
import { useEffect, useRef } from 'preact/hooks';
import type { StepAttempts, StepAttemptsPage } from '../../../../runtime/contracts/history.ts';
import type { WorkflowView } from '../../../../runtime/contracts/workflow.ts';
import { ApiError, api } from '../../data/client.ts';
import { type ResourceState, useResource } from '../../data/resource.ts';
import type { Step } from './graph.ts';

const FRESH = {
  everyMs: 1_000,
  on: ['workflow.started', 'workflow.paused', 'workflow.resumed', 'workflow.input', 'workflow.ended'],
} as const;
const ENDED = { on: ['workflow.started'] } as const;
const FIRST_STEPS = 300;

export const runPath = (id: string): string => `/api/agents/workflows/${id}`;
export const hasEnded = ({ endedAt }: Pick<WorkflowView, 'endedAt'>): boolean => endedAt !== null;

/** The run with its first steps, without results. What was known stays while it is read anew. */
export function useRun(id: string): ResourceState<WorkflowView> & { refresh(): Promise<void> } {
  const ended = useSignal(false);
  const last = useRef<WorkflowView | undefined>(undefined);
  const resource = useResource<WorkflowView>(
    runPath(id),
    { stepsLimit: FIRST_STEPS, results: 'false' },
    ended.value ? ENDED : FRESH,
  );
  const state = resource.state.value;
  last.current = state.data ?? last.current;
  const over = last.current !== undefined && hasEnded(last.current);
  useEffect(() => {
    ended.value = over;
  }, [over, ended]);
  return { ...state, data: last.current, refresh: () => resource.refresh() };
}

export interface Loaded<Item> {
  readonly items: readonly Item[];
  /** Not all of them are here yet. */
  readonly partial: boolean;
  readonly error: ApiError | null;
}

const PAGE = 1_000;

/** All steps of a run: those of the view, and of a larger run the rest, page by page, again after as many seconds as there are pages. */
export function useSteps({ id, tasks, nextStep, version, endedAt }: WorkflowView): Loaded<Step> {
  const rest = useSignal<Loaded<Step>>({ items: [], partial: true, error: null });
  const many = nextStep !== null && nextStep !== undefined;
  const fingerprint = endedAt === null ? 'open' : String(version);
  useEffect(() => {
    if (!many) return;
    const left = new AbortController();
    void readAll(id, left.signal, endedAt === null, (loaded) => {
      rest.value = loaded;
    });
    return () => left.abort();
  }, [id, many, fingerprint]);
  return many && rest.value.items.length > 0 ? rest.value : { items: tasks, partial: many, error: rest.value.error };
}

async function readAll(
  id: string,
  signal: AbortSignal,
  again: boolean,
  tell: (loaded: Loaded<Step>) => void,
): Promise<void> {
  let whole: readonly Step[] = [];
  do {
    const items: Step[] = [];
    let pages = 0;
    try {
      for (let cursor: string | undefined = '0'; cursor !== undefined; pages += 1) {
        const query: Record<string, string | number> = { stepsLimit: PAGE, stepsCursor: cursor, results: 'false' };
        const page: WorkflowView = await api.get<WorkflowView>(runPath(id), query, signal);
        items.push(...page.tasks);
        cursor = page.nextStep ?? undefined;
        // The first time the pages are shown as they come.
        if (whole.length === 0) tell({ items: [...items], partial: cursor !== undefined, error: null });
      }
      whole = items;
      tell({ items: whole, partial: false, error: null });
    } catch (error) {
      if (signal.aborted) return;
      if (error instanceof ApiError) tell({ items: whole, partial: true, error });
    }
    if (again) await pause(Math.max(2, pages) * 1_000, signal);
  } while (again && !signal.aborted);
}

const pause = (ms: number, signal: AbortSignal): Promise<void> =>
  new Promise((resolve) => {
    const timer = setTimeout(resolve, ms);
    signal.addEventListener('abort', () => {
      clearTimeout(timer);
      resolve();
    });
  });

const ROUNDS = 500;

/** Tries of the first rounds, `pages` pages of them. Read again while the run goes on. */
export function useAttempts(
  id: string,
  open: boolean,
  pages: number,
): Loaded<StepAttempts> & { readonly loading: boolean } {
  const state = useSignal<Loaded<StepAttempts> & { loading: boolean }>({
    items: [],
    partial: false,
    error: null,
    loading: true,
  });
  useEffect(() => {
    const left = new AbortController();
    void (async () => {
      do {
        try {
          const items: StepAttempts[] = [];
          let cursor: string | null = null;
          for (let at = 0; at < pages; at += 1) {
            const query: Record<string, string | number | undefined> = { limit: ROUNDS, cursor: cursor ?? undefined };
            const page: StepAttemptsPage = await api.get<StepAttemptsPage>(
              `${runPath(id)}/attempts`,
              query,
              left.signal,
            );
            items.push(...page.items);
            cursor = page.nextCursor;
            if (cursor === null) break;
          }
          state.value = { items, partial: cursor !== null, error: null, loading: false };
        } catch (error) {
          if (left.signal.aborted) return;
          if (error instanceof ApiError) state.value = { ...state.value, error, loading: false };
        }
        if (open) await pause(pages * 1_000, left.signal);
      } while (open && !left.signal.aborted);
    })();
    return () => left.abort();
  }, [id, open, pages, state]);
  return state.value;
}
