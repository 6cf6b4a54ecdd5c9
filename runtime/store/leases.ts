// One lease per node incarnation, under the clock of the database. The sweep frees what the dead owned: first it marks the node row,
// which refuses every later write of that node, then it hands on the tasks, agents and workflows in small steps.

import type { WireError } from '../contracts/errors.ts';
import { wireError } from '../contracts/errors.ts';
import type { RuntimeEvent } from '../contracts/event.ts';
import { fromUuid, toUuid } from '../contracts/ids.ts';
import type { Logger } from '../contracts/ports.ts';
import type { Db, LeaseStore } from '../contracts/store.ts';
import type { DatabaseClock } from './database-clock.ts';
import { few, MS, SqlError, sql } from './sql.ts';
import { INBOX_OF_STEPS } from './task-settle.ts';
import { SHARED_SLOT, tally } from './task-tally.ts';

const SWEEP_TASKS = 200;
const SWEEP_ROWS = 1_000;
/** Steps of one sweep call; what is left waits for the next one. */
const SWEEP_ROUNDS = 50;

// After a restart of the database every lease looks expired though its node lives: each gets one lease to renew.
const MARK_DEAD = `UPDATE node SET swept_at = clock_timestamp() WHERE id IN (
    SELECT id FROM node WHERE swept_at IS NULL
      AND greatest(lease_until, pg_postmaster_start_time() + lease_ms * interval '1 millisecond') <= clock_timestamp()
    ORDER BY id FOR UPDATE SKIP LOCKED)
  RETURNING id`;

const DEAD_NODES = '(SELECT id FROM node WHERE swept_at IS NOT NULL)';

// $1 poisonAfter, $2 error of a lost attempt, $3 of poison, $4 of used-up attempts, $5 ids to free (null: any), $6 ids to leave.
const FREE_TASKS = `WITH victim AS MATERIALIZED (
  SELECT t.id, t.fence AS was_fence, t.owner_node AS was_node, clock_timestamp() AS at,
    CASE WHEN t.crash_count + 1 >= $1 OR t.attempt >= t.max_attempts THEN 'dead' ELSE 'back' END AS fate,
    CASE WHEN t.crash_count + 1 >= $1 THEN $3::jsonb WHEN t.attempt >= t.max_attempts THEN $4::jsonb ELSE $2::jsonb END AS error,
    least((t.retry->>'maxBackoffMs')::float8, (t.retry->>'backoffMs')::float8 * 2 ^ least(30, greatest(0, t.attempt - 1)))
      * CASE WHEN t.retry->>'jitter' = 'none' THEN 1 ELSE random() END AS wait_ms
  FROM task t WHERE t.state = 'running' AND t.owner_node = ANY (ARRAY${DEAD_NODES})
    AND ($5::uuid[] IS NULL OR t.id = ANY ($5::uuid[])) AND NOT t.id = ANY ($6::uuid[])
  ORDER BY t.id LIMIT ${SWEEP_TASKS} FOR UPDATE SKIP LOCKED),
freed AS (UPDATE task t SET
    state = CASE WHEN v.fate = 'dead' THEN 'dead' WHEN v.wait_ms >= 1 THEN 'scheduled' ELSE 'queued' END,
    fence = t.fence + 1, owner_node = NULL, crash_count = t.crash_count + 1, error = v.error, event_seq = t.event_seq + 1,
    run_at = CASE WHEN v.fate = 'dead' THEN t.run_at ELSE v.at + v.wait_ms * interval '1 millisecond' END,
    ended_at = CASE WHEN v.fate = 'dead' THEN v.at END
  FROM victim v WHERE t.id = v.id AND ${few('v.was_fence')}
  RETURNING v.*, t.state, t.fence, t.event_seq, t.tenant, t.queue, t.workflow_id, t.step_key, t.round, t.created_at, t.claimed_at, t.started_at,
    t.attempt AS attempts, t.last_agent AS agent_id, NULL::jsonb AS result, t.usage),
history AS (INSERT INTO attempt (task_id, fence, attempt, node, agent_id, started_at, ended_at, outcome, error, run_ms)
  SELECT id, was_fence, attempts, was_node, NULL, claimed_at, at, 'lost', $2::jsonb, extract(epoch FROM at - claimed_at) * 1000 FROM freed),
ev AS (INSERT INTO event (stream, seq, kind, tenant, type, at, data)
  SELECT id, event_seq, 'task', tenant, CASE WHEN state = 'dead' THEN 'task.dead' ELSE 'task.retrying' END, at,
    jsonb_build_object('attempt', attempts, 'error', error, 'delayMs', CASE WHEN state = 'dead' THEN NULL ELSE round(wait_ms::numeric) END)
  FROM freed),
counted AS (${tally('freed', SHARED_SLOT)}),
inbox AS (${INBOX_OF_STEPS('freed')})
SELECT id, state, event_seq, tenant, attempts, error, wait_ms, at FROM freed`;

interface FreedRow {
  readonly id: string;
  readonly state: string;
  readonly event_seq: number;
  readonly tenant: string;
  readonly attempts: number;
  readonly error: WireError;
  readonly wait_ms: number;
  readonly at: string;
}

export function createLeaseStore(db: Db, node: string, log: Logger, clock: DatabaseClock): LeaseStore {
  const saw = (rows: readonly unknown[]): void => {
    const [row] = rows as readonly { readonly now_ms: number }[];
    if (row) clock.saw(row.now_ms);
  };
  return {
    async open(options) {
      const manifest = options.manifest.map(({ type, defHash, capabilities }) => ({
        type,
        defHash,
        capabilities: (capabilities ?? []).map(({ name, version }) => ({ name, version })),
      }));
      const answers = await db.batch([
        ...(options.reclaimAll
          ? [
              sql(
                'node_expire_others',
                'UPDATE node SET lease_until = clock_timestamp(), swept_at = clock_timestamp() WHERE id <> $1 AND swept_at IS NULL',
                node,
              ),
            ]
          : []),
        sql(
          'node_open',
          `INSERT INTO node (id, host, pid, lease_ms, lease_until, manifest, labels)
           VALUES ($1, $2, $3, $4::int, clock_timestamp() + $4::int * interval '1 millisecond', $5::jsonb, $6::jsonb)
           RETURNING ${MS('clock_timestamp()')} AS now_ms`,
          toUuid(options.id),
          options.host,
          options.pid,
          options.leaseMs,
          JSON.stringify(manifest),
          JSON.stringify(options.labels ?? {}),
        ),
      ]);
      saw(answers.at(-1)?.rows ?? []);
    },

    async renew() {
      const { rows } = await db.query(
        sql(
          'node_renew',
          `UPDATE node SET lease_until = clock_timestamp() + lease_ms * interval '1 millisecond'
           WHERE id = $1 AND swept_at IS NULL RETURNING ${MS('clock_timestamp()')} AS now_ms`,
          node,
        ),
      );
      saw(rows);
      return rows.length === 1;
    },

    async setDraining(draining) {
      await db.query(sql('node_draining', 'UPDATE node SET draining = $2 WHERE id = $1', node, draining));
    },

    release: () => release(db, node),

    async sweep({ poisonAfter }) {
      const dead = await db.query<{ id: string }>(sql('sweep_mark', MARK_DEAD));
      const events = await freeTasks(db, poisonAfter, log);
      const agents = await freeRows(
        db,
        'sweep_agents',
        `UPDATE agent SET owner_node = NULL WHERE id IN (SELECT id FROM agent WHERE owner_node = ANY (ARRAY${DEAD_NODES})
           ORDER BY id LIMIT ${SWEEP_ROWS} FOR UPDATE SKIP LOCKED) RETURNING id`,
      );
      const workflows = await freeRows(
        db,
        'sweep_workflows',
        `UPDATE workflow SET owner_node = NULL, version = version + 1 WHERE id IN (
           SELECT id FROM workflow WHERE owner_node = ANY (ARRAY${DEAD_NODES})
           ORDER BY id LIMIT ${SWEEP_ROWS} FOR UPDATE SKIP LOCKED) RETURNING id`,
      );
      // A node row is kept until nothing names it; until then it keeps refusing.
      await db.query(
        sql(
          'sweep_forget',
          `DELETE FROM node n WHERE swept_at < clock_timestamp() - interval '1 hour'
             AND NOT EXISTS (SELECT 1 FROM task WHERE state = 'running' AND owner_node = n.id)
             AND NOT EXISTS (SELECT 1 FROM agent WHERE owner_node = n.id)
             AND NOT EXISTS (SELECT 1 FROM workflow WHERE owner_node = n.id)`,
        ),
      );
      return {
        nodes: dead.rows.map(({ id }) => fromUuid('node', id)),
        tasks: events.length,
        agents,
        workflows,
        events,
      };
    },

    async nodes() {
      const { rows } = await db.query<{
        id: string;
        host: string;
        pid: number;
        draining: boolean;
        labels: Readonly<Record<string, string>>;
        alive: boolean;
        started_at: string;
        left_ms: number;
      }>(
        sql(
          'node_list',
          `SELECT id, host, pid, draining, labels, started_at, lease_until > clock_timestamp() AS alive,
             greatest(0, extract(epoch FROM lease_until - clock_timestamp()) * 1000)::float8 AS left_ms
           FROM node WHERE swept_at IS NULL ORDER BY id`,
        ),
      );
      return rows.map((row) => ({
        id: fromUuid('node', row.id),
        host: row.host,
        pid: row.pid,
        draining: row.draining,
        labels: row.labels,
        alive: row.alive,
        startedAt: row.started_at,
        leaseLeftMs: row.left_ms,
      }));
    },
  };
}

async function freeRows(db: Db, name: string, text: string): Promise<number> {
  let freed = 0;
  for (let round = 0; round < SWEEP_ROUNDS; round++) {
    const { rows } = await db.query(sql(name, text));
    freed += rows.length;
    if (rows.length < SWEEP_ROWS) break;
  }
  return freed;
}

/** Frees in batches. A batch that the database refuses is taken apart row by row; a row that fails alone is left, and said so. */
async function freeTasks(db: Db, poisonAfter: number, log: Logger): Promise<RuntimeEvent[]> {
  const lost = wireError('target_lost', 'the node that ran the task was lost');
  const errors = [
    lost,
    wireError('poison', 'the task crashed what ran it too often'),
    wireError('attempts_exhausted', 'no attempt is left; the last one was lost with its node'),
  ].map((error) => JSON.stringify(error));
  const free = (only: readonly string[] | null, except: readonly string[]) =>
    db.query<FreedRow>(sql('sweep_tasks', FREE_TASKS, poisonAfter, ...errors, only, except));

  const events: RuntimeEvent[] = [];
  const bad: string[] = [];
  for (let round = 0; round < SWEEP_ROUNDS; round++) {
    try {
      const { rows } = await free(null, bad);
      events.push(...rows.map(freedEvent));
      if (rows.length < SWEEP_TASKS) break;
    } catch (error) {
      if (!(error instanceof SqlError)) throw error;
      const stuck = await db.query<{ id: string }>(
        sql(
          'sweep_candidates',
          `SELECT id FROM task WHERE state = 'running' AND owner_node = ANY (ARRAY${DEAD_NODES}) AND NOT id = ANY ($1::uuid[])
           ORDER BY id LIMIT ${SWEEP_TASKS}`,
          bad,
        ),
      );
      for (const { id } of stuck.rows) {
        try {
          events.push(...(await free([id], bad)).rows.map(freedEvent));
        } catch (cause) {
          if (!(cause instanceof SqlError)) throw cause;
          bad.push(id);
          log.error('a task of a lost node cannot be freed', { taskId: fromUuid('task', id), error: cause.message });
        }
      }
    }
  }
  return events;
}

function freedEvent(row: FreedRow): RuntimeEvent {
  const dead = row.state === 'dead';
  return {
    stream: fromUuid('task', row.id),
    seq: row.event_seq,
    type: dead ? 'task.dead' : 'task.retrying',
    tenant: row.tenant,
    at: row.at,
    data: { attempt: row.attempts, error: row.error, delayMs: dead ? null : Math.round(row.wait_ms) },
  };
}

/** A drained node leaves nothing behind: no crash, no charge. */
async function release(db: Db, node: string): Promise<void> {
  await db.batch([
    sql('release_lock', 'SELECT id FROM node WHERE id = $1 FOR UPDATE', node),
    sql(
      'release_tasks',
      `WITH mine AS MATERIALIZED (SELECT id, fence AS was_fence, attempt AS was_attempt FROM task
         WHERE state = 'running' AND owner_node = $1 ORDER BY id FOR UPDATE),
       back AS (UPDATE task t SET state = 'queued', fence = t.fence + 1, owner_node = NULL, attempt = greatest(0, t.attempt - 1)
         FROM mine WHERE t.id = mine.id RETURNING t.id, mine.was_fence, mine.was_attempt, t.claimed_at)
       INSERT INTO attempt (task_id, fence, attempt, node, started_at, ended_at, outcome)
         SELECT id, was_fence, was_attempt, $1, claimed_at, clock_timestamp(), 'released' FROM back`,
      node,
    ),
    sql('release_agents', 'UPDATE agent SET owner_node = NULL WHERE owner_node = $1', node),
    sql(
      'release_workflows',
      'UPDATE workflow SET owner_node = NULL, version = version + 1 WHERE owner_node = $1',
      node,
    ),
    sql('release_node', 'DELETE FROM node WHERE id = $1', node),
  ]);
}
