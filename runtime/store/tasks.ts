// Tasks in the database: the operations of the group commit, and the reads.

import { toWireError, type WireError } from '../contracts/errors.ts';
import { fromUuid, type TaskId, toUuid } from '../contracts/ids.ts';
import type { Db, TaskFilter, TaskStore } from '../contracts/store.ts';
import { type AttemptView, TASK_STATES, type TaskState } from '../contracts/task.ts';
import { gather } from './gather.ts';
import type { GroupCommit } from './group-commit.ts';
import { clampLimit, few, idOrNull, page, readCursor, sql, uuidOf } from './sql.ts';
import { claimKind } from './task-claim.ts';
import { createTaskEnds } from './task-end.ts';
import { CLAIM_COLUMNS, type ClaimRow, claimedOf, TASK_COLUMNS, type TaskRow, taskView } from './task-rows.ts';
import type { Settling } from './task-settle.ts';
import { createSubmit } from './task-submit.ts';
import { countStates } from './task-tally.ts';
import { createTaskInputs } from './task-wait.ts';

const PINNED_LIMIT = 1_000;
/** Pages of steps that are read by one statement. */
const PAGES_TOGETHER = 100;

interface StepPage {
  readonly run: string;
  readonly steps: readonly string[];
}

const BY_STEPS = `SELECT p.i AS page, t.* FROM jsonb_to_recordset($1::jsonb) AS p(i int, run uuid, steps jsonb)
  CROSS JOIN LATERAL (SELECT DISTINCT ON (step_key) ${TASK_COLUMNS.replace('input', 'NULL::jsonb AS input')} FROM task
    WHERE workflow_id = p.run AND step_key = ANY (ARRAY(SELECT jsonb_array_elements_text(p.steps)))
    ORDER BY step_key, round DESC) t WHERE ${few('p.i')}`;

export function createTaskStore(db: Db, commit: GroupCommit, settling: Settling, node: string): TaskStore {
  const claims = claimKind(node);
  const stepsOf = gather<StepPage, readonly TaskRow[]>(async (pages) => {
    const { rows } = await db.query<TaskRow & { readonly page: number }>(
      sql('task_by_steps', BY_STEPS, JSON.stringify(pages.map((page, i) => ({ i, ...page })))),
    );
    const byPage = pages.map((): TaskRow[] => []);
    for (const row of rows) byPage[row.page]?.push(row);
    const found = new Map(pages.map((page, i) => [page, byPage[i] ?? []]));
    return (page) => found.get(page) ?? [];
  }, PAGES_TOGETHER);
  return {
    submit: createSubmit(db, commit, node),
    claim: (asks) => (asks.some(({ slots }) => slots > 0) ? commit.run(claims, asks) : Promise.resolve([])),
    settle: settling.settle,
    ...createTaskEnds(db),
    ...createTaskInputs(db),

    async get(id, tenant) {
      const uuid = uuidOf('task', id);
      if (!uuid) return null;
      const { rows } = await db.query<TaskRow>(
        sql('task_get', `SELECT ${TASK_COLUMNS} FROM task WHERE id = $1 AND tenant = $2`, uuid, tenant),
      );
      return rows[0] ? taskView(rows[0]) : null;
    },

    attempts: (id) => readAttempts(db, id),

    async ownClaims() {
      const { rows } = await db.query<ClaimRow>(
        sql(
          'task_own_claims',
          `SELECT ${CLAIM_COLUMNS} FROM task t WHERE t.state = 'running' AND t.owner_node = $1`,
          node,
        ),
      );
      return rows.map(claimedOf);
    },

    async pinnedQueues() {
      // Jumps from queue to queue along the index: the cost is the number of queues, not of tasks.
      const { rows } = await db.query<{ queue: string }>(
        sql(
          'task_pinned_queues',
          `WITH RECURSIVE q AS (
             (SELECT queue, 1 AS n FROM task WHERE state = 'queued' AND queue >= 'agent:' AND queue < 'agent;' ORDER BY queue LIMIT 1)
             UNION ALL SELECT (SELECT t.queue FROM task t WHERE t.state = 'queued' AND t.queue > q.queue AND t.queue < 'agent;'
               ORDER BY t.queue LIMIT 1), q.n + 1 FROM q WHERE q.queue IS NOT NULL AND q.n < ${PINNED_LIMIT})
           SELECT queue FROM q WHERE queue IS NOT NULL`,
        ),
      );
      return rows.map(({ queue }) => queue);
    },

    async list(filter) {
      const limit = clampLimit(filter.limit);
      const { rows } = await listTasks(db, filter, limit);
      return page(rows, limit, taskView);
    },

    async byWorkflow(id) {
      const { rows } = await db.query<TaskRow>(
        sql(
          'task_by_workflow',
          `SELECT ${TASK_COLUMNS} FROM task WHERE workflow_id = $1 ORDER BY created_at, rank, id`,
          toUuid(id),
        ),
      );
      return rows.map(taskView);
    },

    async traceOf(id) {
      const { rows } = await db.query<{ traceparent: string }>(
        sql(
          'task_trace_of_run',
          'SELECT traceparent FROM task WHERE workflow_id = $1 AND traceparent IS NOT NULL LIMIT 1',
          toUuid(id),
        ),
      );
      return rows[0]?.traceparent ?? null;
    },

    async bySteps(id, steps) {
      return steps.length === 0 ? [] : (await stepsOf({ run: toUuid(id), steps })).map(taskView);
    },

    async durations(tenant, among) {
      const { rows } = await db.query<{ capability: string; median_ms: number; samples: number }>(
        sql(
          'task_durations',
          `SELECT capability, (percentile_cont(0.5) WITHIN GROUP (ORDER BY ms))::float8 AS median_ms, count(*)::int AS samples
           FROM (SELECT capability, state, extract(epoch FROM ended_at - claimed_at) * 1000 AS ms FROM task WHERE tenant = $1
             ORDER BY id DESC LIMIT $2) t
           WHERE state = 'completed' AND ms IS NOT NULL GROUP BY capability ORDER BY capability`,
          tenant,
          among,
        ),
      );
      return rows.map(({ capability, median_ms: medianMs, samples }) => ({ capability, medianMs, samples }));
    },

    counts: (tenant) => readCounts(db, tenant),
  };
}

/** Newest first. The text differs with the filters in use, so that each gets a plan of its own. */
function listTasks(db: Db, filter: TaskFilter, limit: number) {
  const params: unknown[] = [filter.tenant, limit + 1];
  const used: string[] = [];
  const where = (name: string, condition: (at: string) => string, value: unknown) => {
    if (value === undefined || value === null) return '';
    params.push(value);
    used.push(name);
    return ` AND ${condition(`$${params.length}`)}`;
  };
  const NOBODY = '00000000-0000-0000-0000-000000000000';
  const conditions = [
    where('status', (at) => `state = ${at}`, filter.status),
    where('capability', (at) => `capability = ${at}`, filter.capability),
    where(
      'agent',
      (at) => `(agent_id = ${at} OR last_agent = ${at})`,
      filter.agentId === undefined ? undefined : (uuidOf('agent', filter.agentId) ?? NOBODY),
    ),
    where(
      'workflow',
      (at) => `workflow_id = ${at}`,
      filter.workflowId === undefined ? undefined : (uuidOf('workflow', filter.workflowId) ?? NOBODY),
    ),
    where('after', (at) => `id < ${at}`, readCursor(filter.cursor)),
  ].join('');
  return db.query<TaskRow>(
    sql(
      ['task_list', ...used].join('_'),
      `SELECT ${TASK_COLUMNS} FROM task WHERE tenant = $1${conditions} ORDER BY id DESC LIMIT $2`,
      ...params,
    ),
  );
}

async function readAttempts(db: Db, id: TaskId): Promise<readonly AttemptView[]> {
  const { rows } = await db.query<{
    attempt: number;
    node: string;
    agent_id: string | null;
    thread: number | null;
    started_at: string;
    ended_at: string | null;
    outcome: AttemptView['outcome'];
    error: WireError | null;
  }>(
    sql(
      'task_attempts',
      `SELECT attempt, fence, node, agent_id, thread, started_at, ended_at, outcome, error FROM attempt_log WHERE task_id = $1
       UNION ALL SELECT attempt, fence, owner_node, agent_id, NULL, claimed_at, NULL, 'running', NULL FROM task
         WHERE id = $1 AND state = 'running'
       ORDER BY fence`,
      toUuid(id),
    ),
  );
  return rows.map((row) => ({
    attempt: row.attempt,
    node: fromUuid('node', row.node),
    agentId: idOrNull('agent', row.agent_id),
    thread: row.thread,
    startedAt: row.started_at,
    endedAt: row.ended_at,
    outcome: row.outcome,
    error: row.error && toWireError(row.error),
  }));
}

async function readCounts(db: Db, tenant: string | undefined): ReturnType<TaskStore['counts']> {
  const [states, queues] = await db.batch([
    countStates(tenant),
    sql(
      tenant === undefined ? 'task_count_queues' : 'task_count_queues_tenant',
      `SELECT queue, count(*) AS queued, (extract(epoch FROM clock_timestamp() - min(run_at)) * 1000)::float8 AS oldest_ms
       FROM task WHERE state = 'queued'${tenant === undefined ? '' : ' AND tenant = $1'} GROUP BY queue ORDER BY queued DESC LIMIT 100`,
      ...(tenant === undefined ? [] : [tenant]),
    ),
  ]);
  const byState = Object.fromEntries(TASK_STATES.map((state) => [state, 0])) as Record<TaskState, number>;
  for (const { state, count } of (states?.rows ?? []) as { state: TaskState; count: number }[]) byState[state] = count;
  return {
    byState,
    queues: ((queues?.rows ?? []) as { queue: string; queued: number; oldest_ms: number }[]).map((row) => ({
      queue: row.queue,
      queued: row.queued,
      oldestMs: Math.max(0, row.oldest_ms),
    })),
  };
}
