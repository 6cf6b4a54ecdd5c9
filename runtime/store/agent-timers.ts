// Durable timers of agents. A timer set again has a new generation, so that firing the old one does not delete the new.

import { fromUuid, toUuid } from '../contracts/ids.ts';
import type { AgentTimerStore, Db } from '../contracts/store.ts';
import { clampLimit, sql } from './sql.ts';

interface Row {
  readonly agent_id: string;
  readonly key: string;
  readonly body: unknown;
  readonly generation: number;
  readonly in_ms: number;
}

export function createAgentTimerStore(db: Db, node: string): AgentTimerStore {
  return {
    async set(id, key, afterMs, body) {
      await db.query(
        sql(
          'agent_timer_set',
          `INSERT INTO agent_timer (agent_id, key, due_at, body)
           VALUES ($1, $2, clock_timestamp() + $3 * interval '1 millisecond', $4::jsonb)
           ON CONFLICT (agent_id, key) DO UPDATE
             SET due_at = excluded.due_at, body = excluded.body, generation = agent_timer.generation + 1`,
          toUuid(id),
          key,
          afterMs,
          JSON.stringify(body ?? null),
        ),
      );
    },
    async clear(id, key) {
      await db.query(
        sql('agent_timer_clear', 'DELETE FROM agent_timer WHERE agent_id = $1 AND key = $2', toUuid(id), key),
      );
    },
    async due(limit) {
      const { rows } = await db.query<Row>(
        sql(
          'agent_timer_due',
          `SELECT t.agent_id, t.key, t.body, t.generation,
             (extract(epoch FROM t.due_at - clock_timestamp()) * 1000)::float8 AS in_ms
           FROM agent_timer t JOIN agent a ON a.id = t.agent_id AND a.owner_node = $1
           ORDER BY t.due_at LIMIT $2`,
          node,
          clampLimit(limit),
        ),
      );
      const due = rows.filter(({ in_ms }) => in_ms <= 0);
      return {
        due: due.map((row) => ({
          agentId: fromUuid('agent', row.agent_id),
          key: row.key,
          body: row.body,
          generation: Number(row.generation),
        })),
        nextInMs: rows[due.length]?.in_ms ?? null,
      };
    },
    async done({ agentId, key, generation }) {
      await db.query(
        sql(
          'agent_timer_done',
          'DELETE FROM agent_timer WHERE agent_id = $1 AND key = $2 AND generation = $3',
          toUuid(agentId),
          key,
          generation,
        ),
      );
    },
  };
}
