// Reads the runs of a database that nobody writes to any more, as rows: for books that are kept after faults.

import { fromUuid, type WorkflowId } from '../../runtime/contracts/ids.ts';
import type { WorkflowRow } from '../../runtime/contracts/store.ts';
import { openDatabase } from '../../runtime/store/open-store.ts';
import { sql } from '../../runtime/store/sql.ts';
import { WORKFLOW_COLUMNS, workflowOf } from '../../runtime/store/workflow-rows.ts';
import type { RunBooked } from './run-books.ts';
import { ambient } from './store.ts';

type Db = Awaited<ReturnType<typeof openDatabase>>;

export interface RunRecord {
  readonly row: WorkflowRow;
  readonly booked: RunBooked;
}

/** Every run there is, runs inside runs too. `databaseUrl`: else the embedded database of the folder. */
export async function readRuns(at: { readonly databaseUrl?: string; readonly dataDir: string }): Promise<RunRecord[]> {
  const db = await openDatabase(at, ambient);
  try {
    const runs = await db.query<Row>(
      sql(
        'books_runs',
        `SELECT ${WORKFLOW_COLUMNS}, journal_seq, decision_seq, event_seq, state_hash FROM workflow ORDER BY id`,
      ),
    );
    const records: RunRecord[] = [];
    for (const row of runs.rows) records.push({ row: workflowOf(row), booked: await booked(db, row) });
    return records;
  } finally {
    await db.close();
  }
}

type Row = Parameters<typeof workflowOf>[0] & {
  readonly journal_seq: number;
  readonly decision_seq: number;
  readonly event_seq: number;
  readonly state_hash: string | null;
};

async function booked(db: Db, row: Row): Promise<RunBooked> {
  const all = async <T>(name: string, text: string): Promise<readonly T[]> =>
    (await db.query(sql(`books_${name}`, text, row.id))).rows as readonly T[];
  const journal = 'SELECT seq, event FROM workflow_journal WHERE workflow_id = $1 ORDER BY seq';
  const decisions = `SELECT j.decision_seq - jsonb_array_length(j.decisions) + d.n::int AS seq, d.decision FROM workflow_journal j
    CROSS JOIN LATERAL jsonb_array_elements(j.decisions) WITH ORDINALITY AS d(decision, n) WHERE j.workflow_id = $1 ORDER BY j.seq, d.n`;
  const snapshot = 'SELECT journal_seq AS "journalLength", state FROM workflow_snapshot WHERE workflow_id = $1';
  const tasks = `SELECT id, step_key AS step, round, state, result, (SELECT coalesce(jsonb_agg(
      jsonb_build_object('attempt', a.attempt, 'outcome', a.outcome) ORDER BY a.ended_at), '[]') FROM attempt_log a WHERE a.task_id = task.id) AS attempts
    FROM task WHERE workflow_id = $1 ORDER BY id`;
  const events = await all<{ seq: number }>('events', 'SELECT seq FROM event_log WHERE stream = $1 ORDER BY seq');
  const [kept] = await all<NonNullable<RunBooked['snapshot']>>('snapshot', snapshot);
  const own = await all<RunBooked['tasks'][number]>('tasks', tasks);
  return {
    id: fromUuid('workflow', row.id) as WorkflowId,
    status: row.status,
    stopReason: row.stop_reason,
    output: row.output,
    stateHash: row.state_hash,
    journalLength: row.journal_seq,
    decisionsLength: row.decision_seq,
    eventsLength: row.event_seq,
    journal: await all('journal', journal),
    decisions: await all('decisions', decisions),
    events: events.map(({ seq }) => seq),
    snapshot: kept ?? null,
    tasks: own.map((task) => ({ ...task, id: fromUuid('task', task.id) })),
  };
}
