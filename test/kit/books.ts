// The books after faults: what was accepted, against what the API says of it and what the ledger of the handlers says that ran.
// Pure: reads no server and no file, so that it can itself be tested with books that were cooked.

/** One line of the ledger agent's file. */
export interface LedgerEntry {
  readonly at: 'start' | 'end';
  readonly key: string;
  readonly task: string;
  readonly attempt: number;
  readonly pid: number;
}

/** What the API answered at the end; null when it knows no such thing. */
export type Seen = Readonly<Record<string, unknown>> | null;

export interface Books {
  /** By id, every task whose acceptance was acknowledged. */
  readonly tasks: ReadonlyMap<string, Seen>;
  readonly workflows: ReadonlyMap<string, Seen>;
  readonly ledger: readonly LedgerEntry[];
  /** Steps that each workflow has. */
  readonly stepsPerWorkflow: number;
}

export interface Verdict {
  readonly missing: readonly string[];
  readonly notEnded: readonly string[];
  /** Tasks whose history does not hold exactly one outcome. */
  readonly twoOutcomes: readonly string[];
  /** Workflows that ended otherwise than completed, or without one of their steps. */
  readonly badWorkflows: readonly string[];
  /** Keys whose handler started again after its outcome had been committed, or as another task of the same step. */
  readonly repeatedAfterCommit: readonly string[];
  /** Keys that the API calls completed although no handler of theirs came to its end. */
  readonly neverRan: readonly string[];
  readonly handlerStarts: number;
  readonly committed: number;
  readonly extraStarts: number;
  readonly byStatus: Readonly<Record<string, number>>;
}

export const TERMINAL: readonly string[] = ['completed', 'failed', 'dead', 'cancelled', 'timed_out', 'partial'];

interface AttemptSeen {
  readonly attempt: number;
  readonly outcome: string;
}
interface StepSeen {
  readonly id: string;
  readonly state: string;
}

/** Balances the books. Every list of a clean verdict is empty, except that starts in flight at a fault may repeat (`extraStarts`). */
export function audit({ tasks, workflows, ledger, stepsPerWorkflow }: Books): Verdict {
  const missing: string[] = [];
  const notEnded: string[] = [];
  const twoOutcomes: string[] = [];
  const badWorkflows: string[] = [];
  const byStatus: Record<string, number> = {};
  const committed = new Set<string>();
  /** Attempts that were committed, by task. */
  const decided = new Map<string, number>();
  for (const [id, task] of tasks) {
    if (!task) {
      missing.push(id);
      continue;
    }
    const status = String(task.status);
    byStatus[status] = (byStatus[status] ?? 0) + 1;
    if (!TERMINAL.includes(status)) {
      notEnded.push(`${id} ${status}`);
      continue;
    }
    if (outcomesOf(task) !== 1) twoOutcomes.push(id);
    if (status !== 'completed') continue;
    committed.add(String((task.result as { key?: unknown } | null)?.key));
    const attempt = attemptsOf(task).find(({ outcome }) => outcome === 'completed')?.attempt;
    if (attempt !== undefined) decided.set(id, attempt);
  }
  for (const [id, run] of workflows) {
    if (!run) missing.push(id);
    else if (!TERMINAL.includes(String(run.status))) notEnded.push(`${id} ${run.status}`);
    else {
      const steps = (run.tasks ?? []) as readonly StepSeen[];
      const whole = steps.length === stepsPerWorkflow && steps.every(({ state }) => state === 'completed');
      if (run.status !== 'completed' || !whole)
        badWorkflows.push(`${id} ${run.status} ${run.stopReason} ${said(steps)}`);
      for (const { id: step, state } of steps) if (state === 'completed') committed.add(`${run.name}/${step}`);
    }
  }
  const { starts, repeated, ended } = readStarts(ledger, decided);
  const handlerStarts = [...starts.values()].reduce((sum, count) => sum + count, 0);
  return {
    missing,
    notEnded,
    twoOutcomes,
    badWorkflows,
    repeatedAfterCommit: [...repeated],
    neverRan: [...committed].filter((key) => !ended.has(key)),
    byStatus,
    handlerStarts,
    committed: committed.size,
    extraStarts: handlerStarts - starts.size,
  };
}

const said = (steps: readonly StepSeen[]): string => steps.map(({ id, state }) => `${id}:${state}`).join(' ');

const attemptsOf = (task: NonNullable<Seen>): readonly AttemptSeen[] => (task.attempts ?? []) as readonly AttemptSeen[];

/** The terminal outcomes in a task's history: one, however often it was tried. */
function outcomesOf(task: NonNullable<Seen>): number {
  const completed = attemptsOf(task).filter(({ outcome }) => outcome === 'completed').length;
  return task.status === 'completed' ? completed : completed + 1;
}

/** Attempts of one task are tries; a second task for the same key would be the step done twice. */
function readStarts(ledger: readonly LedgerEntry[], decided: ReadonlyMap<string, number>) {
  const starts = new Map<string, number>();
  const taskOf = new Map<string, string>();
  const repeated = new Set<string>();
  const ended = new Set<string>();
  for (const { at, key, task, attempt } of ledger) {
    if (at === 'end') ended.add(key);
    else {
      starts.set(key, (starts.get(key) ?? 0) + 1);
      if ((taskOf.get(key) ?? task) !== task || attempt > (decided.get(task) ?? Number.POSITIVE_INFINITY))
        repeated.add(key);
      taskOf.set(key, task);
    }
  }
  return { starts, repeated, ended };
}
