// Agents that come to be: many in one statement, each once for its key, its id and its name.

import type { AgentState } from '../contracts/agent.ts';
import { RuntimeError } from '../contracts/errors.ts';
import { fromUuid, toUuid } from '../contracts/ids.ts';
import type { AgentRow, AgentStore, Committed, Db, NewAgentRow } from '../contracts/store.ts';
import { AGENT_COLUMNS, agentOf, type DbAgent } from './agent-rows.ts';
import type { GroupCommit, OpKind } from './group-commit.ts';
import { sql } from './sql.ts';

/**
 * The observed state that a new row begins with: what nearly every agent is by the time of the first roll-up, which then has nothing to
 * write for it. Until then other nodes believe it; the owner knows better.
 */
export const FORESEEN_STATE: AgentState = 'idle';

// The owner must be alive: a row whose owner was swept already would belong to nobody who knows.
const CREATE = `WITH now AS MATERIALIZED (SELECT clock_timestamp() AS at),
me AS MATERIALIZED (SELECT id, labels AS offered FROM node WHERE id = $2 AND lease_until > clock_timestamp() AND swept_at IS NULL FOR KEY SHARE),
r AS MATERIALIZED (SELECT r.*, now.at, CASE WHEN requires IS NULL OR requires <@ me.offered THEN me.id END AS owner FROM jsonb_to_recordset($1::jsonb) AS r(i int, id uuid, tenant text, type text, def_hash text,
  name text, config jsonb, capabilities jsonb, isolation text, labels jsonb, requires jsonb, passivate_after_ms int, idem_key text, idem_hash text) CROSS JOIN now CROSS JOIN me),
keyed AS (INSERT INTO idempotency (tenant, kind, key, body_hash, target)
  SELECT DISTINCT ON (tenant, idem_key) tenant, 'agent', idem_key, idem_hash, id FROM r WHERE idem_key IS NOT NULL ORDER BY tenant, idem_key, i
  ON CONFLICT DO NOTHING RETURNING target),
ins AS (INSERT INTO agent (id, tenant, type, def_hash, name, config, capabilities, isolation, labels, requires, passivate_after_ms, owner_node, changed_by, created_at, state)
  SELECT id, tenant, type, def_hash, name, config, capabilities, isolation, labels, requires, passivate_after_ms, owner, $2, at,
    CASE WHEN owner IS NULL THEN 'created' ELSE '${FORESEEN_STATE}' END FROM r
  WHERE idem_key IS NULL OR id IN (SELECT target FROM keyed)
  ON CONFLICT DO NOTHING RETURNING id, created_at, owner_node IS NOT NULL AS owned)
SELECT id, created_at, owned FROM ins`;

type CreatedRow = { readonly id: string; readonly created_at: string; readonly owned: boolean };

interface CreateOp {
  readonly uuid: string;
  readonly agent: NewAgentRow;
}

function createKind(node: string): OpKind<CreateOp, CreatedRow, CreatedRow | null> {
  return {
    name: 'agent.create',
    key: ({ uuid }) => uuid,
    encode: ({ uuid, agent }) => ({
      id: uuid,
      tenant: agent.tenant,
      type: agent.type,
      def_hash: agent.defHash,
      name: agent.name,
      config: agent.config,
      capabilities: agent.capabilities,
      isolation: agent.isolation,
      labels: agent.labels,
      requires: agent.requires,
      passivate_after_ms: agent.passivateAfterMs,
      idem_key: agent.idempotency?.key,
      idem_hash: agent.idempotency?.bodyHash,
    }),
    statement: (json) => sql('agent_create', CREATE, json, node),
    decode: (_op, rows) => rows[0] ?? null,
  };
}

/** A create that did nothing and finds no reason for it lost a race; it is tried again. */
const ROUNDS = 3;

export function agentCreation(db: Db, commit: GroupCommit, node: string): AgentStore['create'] {
  const creates = createKind(node);
  return async (agent) => {
    const op: CreateOp = { uuid: toUuid(agent.id), agent };
    for (let round = 0; round < ROUNDS; round++) {
      const row = await commit.run(creates, op);
      if (row) return created(agent, row, fromUuid('node', node));
      const earlier = await findEarlier(db, agent, node);
      if (earlier) return earlier;
    }
    return { outcome: 'name_taken' };
  };
}

function created(
  agent: NewAgentRow,
  row: CreatedRow,
  owner: NonNullable<AgentRow['owner']>,
): { readonly outcome: 'created'; readonly agent: AgentRow } & Committed {
  // Named one by one: leaving one field out of a spread makes slow objects, and there may be thousands.
  const { id, tenant, type, defHash, name, config, capabilities, isolation, labels, requires, passivateAfterMs } =
    agent;
  return {
    outcome: 'created',
    agent: {
      id,
      tenant,
      type,
      defHash,
      name,
      config,
      capabilities,
      isolation,
      ...(labels ? { labels } : {}),
      ...(requires ? { requires } : {}),
      ...(passivateAfterMs === undefined ? {} : { passivateAfterMs }),
      desired: 'running',
      state: 'created',
      reason: null,
      owner: row.owned ? owner : null,
      epoch: 1,
      version: 1,
      snapshot: null,
      createdAt: row.created_at,
    },
    events: [
      {
        stream: id,
        seq: 1,
        type: 'agent.created',
        tenant,
        at: row.created_at,
        data: { type, name },
      },
    ],
  };
}

/** Why a create did nothing. @throws RuntimeError `lease_lost` when this node may own nothing. */
async function findEarlier(db: Db, agent: NewAgentRow, node: string) {
  const { rows } = await db.query<DbAgent & { alive: boolean; body_hash: string | null; rule: number | null }>(
    sql(
      'agent_find_earlier',
      `SELECT EXISTS (SELECT 1 FROM node WHERE id = $5 AND lease_until > clock_timestamp() AND swept_at IS NULL) AS alive,
         k.body_hash, e.* FROM (SELECT 1) one
       LEFT JOIN idempotency k ON k.tenant = $1 AND k.kind = 'agent' AND k.key = $2
       LEFT JOIN LATERAL (
         SELECT 1 AS rule, ${AGENT_COLUMNS} FROM agent WHERE id = k.target AND tenant = $1
         UNION ALL SELECT 2, ${AGENT_COLUMNS} FROM agent WHERE id = $3 AND tenant = $1
         UNION ALL SELECT 3, ${AGENT_COLUMNS} FROM agent WHERE tenant = $1 AND name = $4 AND desired <> 'terminated'
         ORDER BY rule LIMIT 1) e ON true`,
      agent.tenant,
      agent.idempotency?.key ?? null,
      toUuid(agent.id),
      agent.name,
      node,
    ),
  );
  const [row] = rows;
  if (row && row.body_hash !== null && row.body_hash !== agent.idempotency?.bodyHash)
    return { outcome: 'mismatch' } as const;
  if (row?.rule === 1 || row?.rule === 2) return { outcome: 'duplicate', agent: agentOf(row) } as const;
  if (row && row.body_hash !== null) {
    // The key was noted but the name stood in the way: the key stands for nothing.
    await db.query(
      sql(
        'agent_idem_drop',
        `DELETE FROM idempotency WHERE tenant = $1 AND kind = 'agent' AND key = $2 AND target = $3`,
        agent.tenant,
        agent.idempotency?.key ?? null,
        toUuid(agent.id),
      ),
    );
  }
  if (row?.rule === 3) return { outcome: 'name_taken' } as const;
  if (row && !row.alive)
    throw new RuntimeError('lease_lost', 'the lease of this node has run out, it may own nothing new');
  return null;
}
