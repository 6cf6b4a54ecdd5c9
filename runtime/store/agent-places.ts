// Agents that change their place in the database: given away, put to sleep, woken, taken by the node they were given to. Each is one statement
// under the epoch; whoever is the owner by then is the only one whose writes count.

import type { AgentId, NodeId } from '../contracts/ids.ts';
import { fromUuid, toUuid } from '../contracts/ids.ts';
import type { AgentStore, Db } from '../contracts/store.ts';
import { AGENT_COLUMNS, agentOf, type DbAgent } from './agent-rows.ts';
import { sql } from './sql.ts';

/** Alive by the database's clock, and locked against being given up meanwhile. */
const TAKES = `lease_until > clock_timestamp() AND swept_at IS NULL AND NOT draining FOR KEY SHARE`;

// What it should sleep through is there already: it stays.
const GIVE = `WITH me AS MATERIALIZED (SELECT id FROM node WHERE id = $1 AND swept_at IS NULL FOR KEY SHARE),
dest AS MATERIALIZED (SELECT id, labels, manifest FROM node WHERE id = $5 AND ${TAKES})
UPDATE agent a SET owner_node = dest.id, passive = $4, given = dest.id IS NOT NULL, epoch = a.epoch + 1, changed_by = me.id, snapshot = coalesce($6::jsonb, a.snapshot),
  state = CASE WHEN $4 THEN 'idle' ELSE a.state END, reason = NULL
FROM me LEFT JOIN dest ON true
WHERE a.id = $2 AND a.epoch = $3 AND a.owner_node = me.id AND a.desired <> 'terminated'
  AND ($5::uuid IS NULL OR dest.id IS NOT NULL AND (a.requires IS NULL OR a.requires <@ dest.labels)
    AND dest.manifest @> jsonb_build_array(jsonb_build_object('defHash', a.def_hash)))
  AND NOT ($4 AND EXISTS (SELECT 1 FROM inbox WHERE receiver = a.id))
RETURNING a.id`;

const WAKE = `WITH me AS MATERIALIZED (SELECT id, labels FROM node WHERE id = $1 AND ${TAKES}),
pick AS MATERIALIZED (SELECT a.id, me.id AS taker FROM agent a LEFT JOIN me ON a.def_hash = ANY ($3::text[]) AND (a.requires IS NULL OR a.requires <@ me.labels)
  WHERE a.id = ANY ($2::uuid[]) AND a.passive AND a.owner_node IS NULL AND a.desired <> 'terminated' ORDER BY a.id FOR UPDATE OF a SKIP LOCKED)
UPDATE agent a SET passive = false, given = false, owner_node = pick.taker, changed_by = coalesce(pick.taker, a.changed_by),
  epoch = a.epoch + CASE WHEN pick.taker IS NULL THEN 0 ELSE 1 END
FROM pick WHERE a.id = pick.id RETURNING ${AGENT_COLUMNS.replace('id,', 'a.id,')}`;

// Of a queue that many agents could serve, as many wake as it holds tasks.
const WANTED = `SELECT id FROM (
  SELECT a.id FROM agent a WHERE a.passive AND (EXISTS (SELECT 1 FROM inbox WHERE receiver = a.id)
    OR EXISTS (SELECT 1 FROM agent_timer WHERE agent_id = a.id AND due_at <= clock_timestamp())
    OR a.id IN (SELECT agent_id FROM task WHERE state = 'queued' AND agent_id IS NOT NULL))
  UNION
  SELECT b.id FROM (SELECT queue, count(*) AS n FROM (SELECT queue FROM task WHERE state = 'queued' AND agent_id IS NULL LIMIT 1000) t GROUP BY queue) q
  CROSS JOIN LATERAL (SELECT a.id FROM agent a WHERE a.passive AND a.desired = 'running' AND EXISTS (
    SELECT 1 FROM node n CROSS JOIN LATERAL jsonb_to_recordset(n.manifest) AS m(type text, "defHash" text, capabilities jsonb)
    CROSS JOIN LATERAL jsonb_to_recordset(m.capabilities) AS c(name text, version int)
    WHERE n.swept_at IS NULL AND m.type = a.type AND m."defHash" = a.def_hash AND c.name || '@' || c.version = q.queue
      AND (a.capabilities IS NULL OR a.capabilities ? c.name)) ORDER BY a.id LIMIT q.n) b) w LIMIT $1`;

export function agentPlaces(
  db: Db,
  node: string,
): Pick<AgentStore, 'give' | 'wake' | 'wanted' | 'sleeping' | 'arrived'> {
  return {
    async give(id: AgentId, epoch: number, to: 'asleep' | 'anywhere' | NodeId, snapshot: unknown) {
      const dest = to === 'asleep' || to === 'anywhere' ? null : toUuid(to);
      const state = snapshot == null ? null : JSON.stringify(snapshot);
      const { rows } = await db.query(sql('agent_give', GIVE, node, toUuid(id), epoch, to === 'asleep', dest, state));
      return rows.length === 1;
    },

    async wake(ids, defHashes) {
      const { rows } = await db.query<DbAgent>(sql('agent_wake', WAKE, node, ids.map(toUuid), [...defHashes]));
      return rows.map(agentOf);
    },

    async wanted(limit) {
      const { rows } = await db.query<{ id: string }>(sql('agent_wanted', WANTED, limit));
      return rows.map(({ id }) => fromUuid('agent', id));
    },

    async sleeping() {
      const { rows } = await db.query(sql('agent_sleeping', 'SELECT 1 FROM agent WHERE passive LIMIT 1'));
      return rows.length > 0;
    },

    async arrived() {
      const { rows } = await db.query<DbAgent>(
        sql(
          'agent_arrived',
          `UPDATE agent SET changed_by = owner_node, given = false WHERE owner_node = $1 AND changed_by IS DISTINCT FROM owner_node
             AND given AND desired <> 'terminated' RETURNING ${AGENT_COLUMNS}`,
          node,
        ),
      );
      return rows.map(agentOf);
    },
  };
}
