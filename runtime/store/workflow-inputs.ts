// Questions to people: which wait, and the one answer each of them takes. They are asked and closed by the decisions of their runs.

import type { HumanRequest } from '../contracts/coordination.ts';
import { fromUuid } from '../contracts/ids.ts';
import type { AskRow, AskState, Db, WorkflowStore } from '../contracts/store.ts';
import { clampLimit, sql, uuidOf } from './sql.ts';

interface DbAsk {
  readonly workflow_id: string;
  readonly root_id: string;
  readonly step: string;
  readonly round: number;
  readonly request: HumanRequest;
  readonly state: AskState;
  readonly value: unknown;
  readonly answered_by: string | null;
  readonly asked_at: string;
  readonly expires_at: string;
  readonly ended_at: string | null;
}

const askOf = (row: DbAsk): AskRow => ({
  workflowId: fromUuid('workflow', row.workflow_id),
  rootId: fromUuid('workflow', row.root_id),
  step: row.step,
  round: row.round,
  request: row.request,
  state: row.state,
  value: row.value,
  answeredBy: row.answered_by,
  askedAt: row.asked_at,
  expiresAt: row.expires_at,
  endedAt: row.ended_at,
});

/** A run and everything below it. */
const BELOW = `WITH RECURSIVE below AS (SELECT id FROM workflow WHERE id = $4 UNION ALL SELECT w.id FROM workflow w JOIN below b ON w.parent_id = b.id)`;

const ASKS = (which: string): string =>
  `SELECT * FROM workflow_input WHERE tenant = $1 AND ($2::text IS NULL OR state = $2) ${which} ORDER BY asked_at DESC LIMIT $3`;

export function createWorkflowInputs(db: Db): Pick<WorkflowStore, 'asks' | 'answer'> {
  return {
    async asks({ tenant, workflowId, step, state, limit }) {
      const uuid = workflowId === undefined ? null : uuidOf('workflow', workflowId);
      if (workflowId !== undefined && uuid === null) return [];
      const wanted = [tenant, state ?? null, clampLimit(limit)] as const;
      const { rows } = await db.query<DbAsk>(
        uuid === null
          ? sql('workflow_asks', ASKS(''), ...wanted)
          : step === undefined
            ? sql(
                'workflow_asks_below',
                `${BELOW} ${ASKS('AND workflow_id IN (SELECT id FROM below)')}`,
                ...wanted,
                uuid,
              )
            : sql('workflow_asks_step', ASKS('AND workflow_id = $4 AND step = $5'), ...wanted, uuid, step),
      );
      return rows.map(askOf);
    },

    async answer({ tenant, workflowId, step, round }, { by, value, event }) {
      const uuid = uuidOf('workflow', workflowId);
      if (!uuid) return 'not_found';
      const { rows } = await db.query<{ known: boolean; done: boolean }>(
        sql(
          'workflow_answer',
          `WITH known AS MATERIALIZED (SELECT workflow_id, step, round FROM workflow_input
             WHERE workflow_id = $1 AND step = $2 AND round = $3 AND tenant = $4),
           done AS (UPDATE workflow_input q SET state = 'answered', value = $5::jsonb, answered_by = $6, ended_at = clock_timestamp()
             FROM known k WHERE q.workflow_id = k.workflow_id AND q.step = k.step AND q.round = k.round AND q.state = 'open'
               AND q.expires_at > clock_timestamp() RETURNING q.workflow_id),
           mail AS (INSERT INTO workflow_inbox (workflow_id, event_id, event)
             SELECT workflow_id, 'input/' || $2 || '/' || $3, $7::jsonb FROM done ON CONFLICT DO NOTHING)
           SELECT EXISTS (SELECT 1 FROM known) AS known, EXISTS (SELECT 1 FROM done) AS done`,
          uuid,
          step,
          round,
          tenant,
          JSON.stringify(value ?? null),
          by,
          JSON.stringify(event),
        ),
      );
      const [row] = rows;
      if (!row?.known) return 'not_found';
      return row.done ? 'answered' : 'closed';
    },
  };
}
