// The table at the end: what ran where, how often, how long.

import type { TaskView } from '../../runtime/contracts/task.ts';
import type { WorkflowView } from '../../runtime/contracts/workflow.ts';

export interface StepSummary {
  readonly step: string;
  readonly agent: string;
  /** Threads of its attempts, in order. */
  readonly threads: readonly number[];
  readonly attempts: number;
  readonly status: string;
  /** From its first start to its end, interrupted attempts included. */
  readonly ms: number;
}

export interface Totals {
  readonly tasks: number;
  readonly attempts: number;
  readonly restarts: number;
  /** Between agents: what the others told the writer. */
  readonly messages: number;
  /** Of the node, seen while the workflow ran. */
  readonly events: number;
  readonly wallMs: number;
}

export function summariseSteps(
  workflow: Pick<WorkflowView, 'tasks'>,
  tasks: ReadonlyMap<string, TaskView>,
  agentName: (id: string) => string,
  /** Where an attempt ran, for attempts whose row does not say. */
  threadOf: (taskId: string, attempt: number) => number | undefined = () => undefined,
): StepSummary[] {
  return workflow.tasks.map((step) => {
    const task = step.taskId === undefined ? undefined : tasks.get(step.taskId);
    const attempts = task?.attempts ?? [];
    const agentId = attempts.at(-1)?.agentId ?? step.agentId ?? null;
    return {
      step: step.id,
      agent: agentId === null ? '' : agentName(agentId),
      threads: attempts.flatMap(({ thread, attempt }) => {
        const known = thread === null || thread < 0 ? threadOf(step.taskId ?? '', attempt) : thread;
        return known === undefined ? [] : [known];
      }),
      attempts: attempts.length,
      status: step.state,
      ms: duration(attempts[0]?.startedAt, attempts.at(-1)?.endedAt ?? step.endedAt),
    };
  });
}

function duration(from: string | null | undefined, to: string | null | undefined): number {
  return from && to ? Math.max(0, Date.parse(to) - Date.parse(from)) : 0;
}

export function summaryTable(steps: readonly StepSummary[], totals: Totals): string {
  const rows = [
    ['step', 'agent', 'threads', 'attempts', 'state', 'time'],
    ...steps.map(({ step, agent, threads, attempts, status, ms }) => [
      step,
      agent,
      threads.join(' > '),
      String(attempts),
      status,
      seconds(ms),
    ]),
  ];
  const widths = (rows[0] ?? []).map((_, column) => Math.max(...rows.map((row) => row[column]?.length ?? 0)));
  const lines = rows.map((row) =>
    row
      .map((cell, column) => cell.padEnd(widths[column] ?? 0))
      .join('   ')
      .trimEnd(),
  );
  const rule = '-'.repeat(Math.max(...lines.map((line) => line.length)));
  const { tasks, attempts, restarts, messages, events, wallMs } = totals;
  return [
    lines[0],
    rule,
    ...lines.slice(1),
    rule,
    `${tasks} tasks, ${attempts} attempts, ${restarts} restarts, ${messages} messages between agents, ${events} events, ${seconds(wallMs)} in all`,
  ].join('\n');
}

const seconds = (ms: number): string => `${(ms / 1_000).toFixed(2)} s`;
