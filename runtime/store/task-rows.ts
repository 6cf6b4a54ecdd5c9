// Task rows: how a new task travels into SQL, and how rows become what the runtime works with.

import type { WireError } from '../contracts/errors.ts';
import type { EventType, RuntimeEvent } from '../contracts/event.ts';
import type { HumanAnswer, TaskInput } from '../contracts/human-question.ts';
import { fromUuid, type TaskId, toUuid } from '../contracts/ids.ts';
import type { NewTask } from '../contracts/store.ts';
import type { ClaimedTask, ResolvedRetry, TaskState, TaskView } from '../contracts/task.ts';
import type { Usage } from '../contracts/usage.ts';
import { idOrNull, MS } from './sql.ts';

/** One step of priority is worth this much waiting time. */
export const PRIORITY_STEP = `interval '30 seconds'`;
export const OPEN_TASK = `('scheduled', 'queued', 'running', 'waiting')`;

/** Columns of a new task as `jsonb_to_recordset` reads them (all but `i`, the position). */
export const NEW_TASK_RECORD = `id uuid, tenant text, capability text, version int, queue text, agent_id uuid, input jsonb,
  priority int, timeout_ms int, queue_timeout_ms bigint, deadline_ms bigint, delay_ms bigint, run_at timestamptz, retry jsonb,
  dedupe_key text, idem_key text, idem_hash text, workflow_id uuid, step_key text, round int, traceparent text, claim boolean`;

export function encodeNewTask(task: NewTask, claim = false): object {
  return {
    id: toUuid(task.id),
    tenant: task.tenant,
    capability: task.capability,
    version: task.version,
    queue: task.queue,
    agent_id: task.agentId && toUuid(task.agentId),
    input: task.input,
    priority: task.priority,
    timeout_ms: task.timeoutMs,
    queue_timeout_ms: task.queueTimeoutMs,
    deadline_ms: task.deadlineMs,
    delay_ms: task.delayMs,
    run_at: task.runAt,
    retry: task.retry,
    dedupe_key: task.dedupeKey,
    idem_key: task.idempotency?.key,
    idem_hash: task.idempotency?.bodyHash,
    workflow_id: task.workflow && toUuid(task.workflow.id),
    step_key: task.workflow?.step,
    round: task.workflow?.round,
    traceparent: task.traceparent,
    claim,
  };
}

/**
 * Reads new tasks from relation `source` (columns of {@link NEW_TASK_RECORD} plus `at`, the time, `n`, its order among them, and `takes`,
 * whether the insert takes the lease for node $2).
 */
export function insertTasks(source: string): string {
  return `INSERT INTO task (id, tenant, capability, version, queue, agent_id, state, priority, rank, run_at, queue_until, deadline_at,
      timeout_ms, retry, max_attempts, attempt, fence, owner_node, claimed_at, started_at, workflow_id, step_key, round, dedupe_key,
      traceparent, created_at, input)
    SELECT s.id, s.tenant, s.capability, s.version, s.queue, s.agent_id,
      CASE WHEN s.takes THEN 'running' WHEN s.due > s.at THEN 'scheduled' ELSE 'queued' END, s.priority, s.rank, s.due,
      s.at + s.queue_timeout_ms * interval '1 millisecond', s.at + s.deadline_ms * interval '1 millisecond',
      s.timeout_ms, s.retry, (s.retry->>'maxAttempts')::int, s.takes::int, s.takes::int,
      CASE WHEN s.takes THEN $2::uuid END, CASE WHEN s.takes THEN s.at END, CASE WHEN s.takes THEN s.at END,
      s.workflow_id, s.step_key, s.round, s.dedupe_key, s.traceparent, s.at, s.input
    FROM ${source} s
    ON CONFLICT DO NOTHING
    RETURNING id, tenant, capability, version, queue, state, priority, workflow_id, step_key, fence, run_at, created_at`;
}

/** When a new task is due, and its rank. Needs `at` and the record's columns in scope. */
export const DUE = `CASE WHEN r.run_at IS NOT NULL THEN greatest(r.run_at, now.at)
  ELSE now.at + coalesce(r.delay_ms, 0) * interval '1 millisecond' END`;

/**
 * Adds `takes`: an insert takes the lease only when its caller asked and nothing runnable of its queue goes before it, neither a row
 * nor an unclaimed one among those inserted with it. `able`: whether this node may take anything; `where`: which rows of `source` (s) count.
 * The head of a queue is looked for once a queue: in a busy one the look walks over the entries of all that was claimed lately.
 */
export const takes = (
  source: string,
  able: string,
  where = 'true',
): string => `SELECT r.*, r.claim AND r.due <= r.at AND ${able}
    AND count(*) FILTER (WHERE NOT r.claim AND r.due <= r.at) OVER (PARTITION BY r.queue ORDER BY r.rank, r.i ROWS UNBOUNDED PRECEDING) = 0
    AND coalesce(r.rank < min(r.head) OVER (PARTITION BY r.queue), true) AS takes
  FROM (SELECT s.*, CASE WHEN s.claim AND row_number() OVER (PARTITION BY s.queue, s.claim) = 1 THEN
      (SELECT t.rank FROM task t WHERE t.state = 'queued' AND t.queue = s.queue ORDER BY t.rank, t.id LIMIT 1) END AS head
    FROM ${source} s WHERE ${where}) r`;

export interface InsertedRow {
  readonly id: string;
  readonly state: TaskState;
  readonly run_at: string;
  readonly created_at: string;
}

export function acceptedEvent(task: NewTask, row: InsertedRow): RuntimeEvent {
  return {
    stream: task.id,
    seq: 1,
    type: 'task.accepted',
    tenant: task.tenant,
    at: row.created_at,
    data: {
      capability: task.capability,
      version: task.version,
      queue: task.queue,
      priority: task.priority,
      ...(task.workflow ? { workflowId: task.workflow.id, stepKey: task.workflow.step } : {}),
    },
  };
}

/** The claim that an insert took with it. */
export function claimedAtInsert(task: NewTask, { created_at }: Pick<InsertedRow, 'created_at'>): ClaimedTask {
  const atMs = Date.parse(created_at);
  return {
    taskId: task.id,
    fence: 1,
    attempt: 1,
    capability: task.capability,
    version: task.version,
    input: task.input ?? null,
    timeoutMs: task.timeoutMs,
    idempotencyKey: task.id,
    tenant: task.tenant,
    ...(task.workflow ? { workflowId: task.workflow.id, stepKey: task.workflow.step, round: task.workflow.round } : {}),
    ...(task.traceparent ? { traceparent: task.traceparent } : {}),
    queue: task.queue,
    agentId: task.agentId ?? null,
    maxAttempts: task.retry.maxAttempts,
    retry: task.retry,
    crashCount: 0,
    priority: task.priority,
    ...(task.deadlineMs === undefined ? {} : { deadlineInMs: task.deadlineMs }),
    queuedForMs: 0,
    createdAtMs: atMs,
    claimedAtMs: atMs,
  };
}

/** The view of a task that was inserted just now, made of what the caller gave. */
export function viewOfNew(task: NewTask, row: InsertedRow): TaskView {
  const running = row.state === 'running';
  return {
    id: task.id,
    status: row.state,
    capability: task.capability,
    priority: task.priority,
    input: task.input ?? null,
    attempt: running ? 1 : 0,
    maxAttempts: task.retry.maxAttempts,
    agentId: task.agentId ?? null,
    workflowId: task.workflow?.id ?? null,
    stepKey: task.workflow?.step ?? null,
    timings: {
      submittedAt: row.created_at,
      runAt: row.run_at,
      startedAt: running ? row.created_at : null,
      endedAt: null,
      queueWaitMs: running ? 0 : null,
      runMs: null,
    },
  };
}

/** What a task has used with what one more attempt did; nothing is computed for an attempt that reported nothing. */
export const usageWith = (
  used: string,
): string => `CASE WHEN ${used} IS NULL THEN t.usage WHEN t.usage IS NULL THEN ${used}
  ELSE (SELECT jsonb_object_agg(key, n) FROM (SELECT key, sum(value::numeric) AS n
    FROM (SELECT * FROM jsonb_each_text(t.usage) UNION ALL SELECT * FROM jsonb_each_text(${used})) AS both_ GROUP BY key) AS summed) END`;

/** What a claim returns of table `t`; `at` must be in scope. */
export const CLAIM_COLUMNS = `t.id, t.fence, t.attempt, t.capability, t.version, t.input, t.timeout_ms, t.tenant, t.workflow_id, t.step_key, t.round,
  t.traceparent, t.queue, t.agent_id, t.max_attempts, t.retry, t.crash_count, t.priority,
  (extract(epoch FROM t.deadline_at - t.claimed_at) * 1000)::float8 AS deadline_in_ms, t.inputs,
  ${MS('t.created_at')} AS created_ms, ${MS('t.claimed_at')} AS claimed_ms,
  greatest(0, (extract(epoch FROM t.claimed_at - t.run_at) * 1000)::float8) AS queued_for_ms`;

export interface ClaimRow {
  readonly i: number;
  readonly id: string;
  readonly fence: number;
  readonly attempt: number;
  readonly capability: string;
  readonly version: number;
  readonly input: unknown;
  readonly timeout_ms: number;
  readonly tenant: string;
  readonly workflow_id: string | null;
  readonly step_key: string | null;
  readonly round: number | null;
  readonly traceparent: string | null;
  readonly queue: string;
  readonly agent_id: string | null;
  readonly max_attempts: number;
  readonly retry: ResolvedRetry;
  readonly crash_count: number;
  readonly priority: number;
  readonly deadline_in_ms: number | null;
  readonly queued_for_ms: number;
  readonly created_ms: number;
  readonly claimed_ms: number;
  readonly inputs: readonly Input[] | null;
}

export function claimedOf(row: ClaimRow): ClaimedTask {
  const taskId = fromUuid('task', row.id);
  return {
    taskId,
    fence: row.fence,
    attempt: row.attempt,
    capability: row.capability,
    version: row.version,
    input: row.input,
    timeoutMs: row.timeout_ms,
    idempotencyKey: taskId,
    tenant: row.tenant,
    ...(row.workflow_id ? { workflowId: fromUuid('workflow', row.workflow_id) } : {}),
    ...(row.step_key === null ? {} : { stepKey: row.step_key }),
    ...(row.round === null ? {} : { round: row.round }),
    ...(row.traceparent ? { traceparent: row.traceparent } : {}),
    ...(row.inputs ? { answers: row.inputs.map(answerOf) } : {}),
    queue: row.queue,
    agentId: idOrNull('agent', row.agent_id),
    maxAttempts: row.max_attempts,
    retry: row.retry,
    crashCount: row.crash_count,
    priority: row.priority,
    ...(row.deadline_in_ms === null ? {} : { deadlineInMs: Math.max(0, row.deadline_in_ms) }),
    queuedForMs: row.queued_for_ms,
    createdAtMs: row.created_ms,
    claimedAtMs: row.claimed_ms,
  };
}

export const TASK_COLUMNS = `id, state, capability, priority, input, result, error, attempt, max_attempts, agent_id, last_agent, workflow_id,
  step_key, created_at, run_at, started_at, ended_at, claimed_at, usage, inputs,
  clock_timestamp() AS now`;

export interface TaskRow {
  readonly id: string;
  readonly state: TaskState;
  readonly capability: string;
  readonly priority: number;
  readonly input: unknown;
  readonly result: unknown;
  readonly error: WireError | null;
  readonly attempt: number;
  readonly max_attempts: number;
  readonly agent_id: string | null;
  readonly last_agent: string | null;
  readonly workflow_id: string | null;
  readonly step_key: string | null;
  readonly created_at: string;
  readonly run_at: string;
  readonly started_at: string | null;
  readonly ended_at: string | null;
  readonly usage: Usage | null;
  readonly inputs: readonly Input[] | null;
  readonly now: string;
}

/** A question in the row of its task. */
interface Input {
  readonly prompt: string;
  readonly schema?: Record<string, unknown>;
  readonly askedAt: string;
  readonly value?: unknown;
  readonly expired?: true;
}

const answerOf = (input: Input): HumanAnswer => ('value' in input ? { value: input.value } : { expired: true });

export interface OpenInputRow extends Pick<TaskRow, 'id' | 'inputs' | 'run_at' | 'workflow_id' | 'step_key'> {
  readonly round: number | null;
  /** Of its run. */
  readonly root_id: string | null;
}

/** The last question of a task that waits. */
export function openInputOf(id: TaskId, row: OpenInputRow): TaskInput | undefined {
  const question = questionOf(row);
  const workflow = stepOf(row);
  return (
    question && {
      taskId: id,
      ...question,
      answerAt: `/api/agents/tasks/${id}/input`,
      ...(workflow ? { workflow } : {}),
    }
  );
}

function stepOf({ workflow_id, root_id, step_key: step, round }: OpenInputRow): TaskInput['workflow'] {
  if (workflow_id === null || root_id === null || step === null) return undefined;
  return { id: fromUuid('workflow', workflow_id), rootId: fromUuid('workflow', root_id), step, round: round ?? 0 };
}

function questionOf(row: Pick<TaskRow, 'inputs' | 'run_at'>): TaskView['question'] {
  const input = row.inputs?.at(-1);
  if (!input || !row.inputs) return undefined;
  const { prompt, schema, askedAt } = input;
  return {
    question: row.inputs.length - 1,
    kind: 'input',
    prompt,
    ...(schema ? { schema } : {}),
    state: 'open',
    askedAt,
    expiresAt: row.run_at,
  };
}

const msBetween = (from: string, to: string): number => Math.max(0, Date.parse(to) - Date.parse(from));

export function taskView(row: TaskRow): TaskView {
  const id = fromUuid('task', row.id);
  const question = row.state === 'waiting' ? questionOf(row) : undefined;
  return {
    id,
    status: row.state,
    capability: row.capability,
    priority: row.priority,
    input: row.input,
    ...(row.state === 'completed' ? { result: row.result } : {}),
    ...(row.error ? { error: row.error } : {}),
    attempt: row.attempt,
    maxAttempts: row.max_attempts,
    agentId: idOrNull('agent', row.last_agent ?? row.agent_id),
    workflowId: idOrNull('workflow', row.workflow_id),
    stepKey: row.step_key,
    ...(row.usage ? { usage: row.usage } : {}),
    ...(question ? { question } : {}),
    timings: {
      submittedAt: row.created_at,
      runAt: row.run_at,
      startedAt: row.started_at,
      endedAt: row.ended_at,
      queueWaitMs: row.started_at ? msBetween(row.created_at, row.started_at) : null,
      runMs: row.started_at ? msBetween(row.started_at, row.ended_at ?? row.now) : null,
    },
  };
}

/** An event of a task that SQL has stored. */
export function taskEvent(
  id: TaskId,
  tenant: string,
  seq: number,
  type: EventType,
  at: string,
  data: Record<string, unknown>,
): RuntimeEvent {
  return { stream: id, seq, type, tenant, at, data };
}
