// Agents in the database: specification and desired state by compare and swap, observed state as a roll-up, snapshots under the epoch.

import type { AgentState } from '../contracts/agent.ts';
import type { RuntimeEvent } from '../contracts/event.ts';
import { type AgentId, toUuid } from '../contracts/ids.ts';
import type { AgentFilter, AgentRow, AgentStore, Db } from '../contracts/store.ts';
import { agentCreation } from './agent-create.ts';
import { agentPlaces } from './agent-places.ts';
import { AGENT_COLUMNS, agentOf, type DbAgent } from './agent-rows.ts';
import type { GroupCommit, OpKind } from './group-commit.ts';
import { clampLimit, few, page, readCursor, sql, uuidOf } from './sql.ts';

interface SnapshotOp {
  readonly id: AgentId;
  readonly epoch: number;
  readonly snapshot: unknown;
}

// Of two snapshots of one agent in a flush the later one is written; both are answered.
const SNAPSHOT = `WITH me AS MATERIALIZED (SELECT id FROM node WHERE id = $2 AND swept_at IS NULL FOR KEY SHARE),
r AS MATERIALIZED (SELECT DISTINCT ON (id, epoch) * FROM jsonb_to_recordset($1::jsonb) AS r(i int, id uuid, epoch bigint, snapshot jsonb)
  WHERE ${few('i')} ORDER BY id, epoch, i DESC)
UPDATE agent a SET snapshot = r.snapshot FROM r, me WHERE a.id = r.id AND a.epoch = r.epoch AND a.owner_node IS NOT DISTINCT FROM me.id
RETURNING a.id || '/' || a.epoch AS id`;

function snapshotKind(node: string): OpKind<SnapshotOp, { readonly id: string }, 'saved' | 'fenced'> {
  return {
    name: 'agent.snapshot',
    key: ({ id, epoch }) => `${toUuid(id)}/${epoch}`,
    sharedKey: true,
    encode: ({ id, epoch, snapshot }) => ({ id: toUuid(id), epoch, snapshot }),
    statement: (json) => sql('agent_snapshot', SNAPSHOT, json, node),
    decode: (_op, rows) => (rows.length > 0 ? 'saved' : 'fenced'),
  };
}

export function createAgentStore(db: Db, commit: GroupCommit, node: string): AgentStore {
  const snapshots = snapshotKind(node);

  async function byId(uuid: string, tenant: string): Promise<AgentRow | null> {
    const { rows } = await db.query<DbAgent>(
      sql('agent_get', `SELECT ${AGENT_COLUMNS} FROM agent WHERE id = $1 AND tenant = $2`, uuid, tenant),
    );
    return rows[0] ? agentOf(rows[0]) : null;
  }

  return {
    create: agentCreation(db, commit, node),
    ...agentPlaces(db, node),

    async update(id, tenant, change, expectVersion) {
      const uuid = uuidOf('agent', id);
      if (!uuid) return { outcome: 'not_found' };
      const type = change.desired === 'terminated' ? 'agent.terminated' : 'agent.updated';
      const { capabilities, config, labels, ...rest } = change;
      const data = {
        ...rest,
        ...(config ? { config } : {}),
        ...(capabilities ? { capabilities } : {}),
        ...(labels ? { labels } : {}),
      };
      const { rows } = await db.query<DbAgent & { event_seq: number; at: string }>(
        sql(
          'agent_update',
          `WITH up AS (UPDATE agent SET config = coalesce($4::jsonb, config), capabilities = coalesce($5::jsonb, capabilities),
               desired = coalesce($6, desired), state = coalesce($7, state), reason = coalesce($8, reason),
               labels = coalesce($12::jsonb, labels), version = version + 1, event_seq = event_seq + 1, changed_by = $9,
               ended_at = CASE WHEN coalesce($6, desired) = 'terminated' THEN coalesce(ended_at, clock_timestamp()) END
             WHERE id = $1 AND tenant = $2 AND ($3::bigint IS NULL OR version = $3)
             RETURNING ${AGENT_COLUMNS}, event_seq, clock_timestamp() AS at),
           ev AS (INSERT INTO event (stream, seq, kind, tenant, type, at, data)
             SELECT id, event_seq, 'agent', tenant, $10, at, $11::jsonb || jsonb_build_object('version', version) FROM up)
           SELECT * FROM up`,
          uuid,
          tenant,
          expectVersion ?? null,
          config ? JSON.stringify(config) : null,
          capabilities ? JSON.stringify(capabilities) : null,
          change.desired ?? null,
          change.state ?? null,
          change.reason ?? null,
          node,
          type,
          JSON.stringify(data),
          labels ? JSON.stringify(labels) : null,
        ),
      );
      const [row] = rows;
      if (!row) {
        const agent = await byId(uuid, tenant);
        return agent ? { outcome: 'stale', agent } : { outcome: 'not_found' };
      }
      const agent = agentOf(row);
      const event: RuntimeEvent = {
        stream: agent.id,
        seq: row.event_seq,
        type,
        tenant,
        at: row.at,
        data: { ...data, version: agent.version },
      };
      return { outcome: 'updated', agent, events: [event] };
    },

    saveSnapshot: (id, epoch, snapshot) => commit.run(snapshots, { id, epoch, snapshot }),

    async observe(states) {
      if (states.length === 0) return;
      const rows = states.map(({ id, epoch, state, reason }) => ({ id: toUuid(id), epoch, state, reason }));
      await db.query(
        sql(
          'agent_observe',
          `UPDATE agent a SET state = r.state, reason = r.reason
           FROM jsonb_to_recordset($1::jsonb) AS r(id uuid, epoch bigint, state text, reason text)
           WHERE a.id = r.id AND a.epoch = r.epoch AND a.owner_node IS NOT DISTINCT FROM $2 AND ${few('r.epoch')}
             AND (a.state, a.reason) IS DISTINCT FROM (r.state, r.reason)`,
          JSON.stringify(rows),
          node,
        ),
      );
    },

    async get(idOrName, tenant) {
      const uuid = uuidOf('agent', idOrName);
      if (uuid) return byId(uuid, tenant);
      const { rows } = await db.query<DbAgent>(
        sql(
          'agent_get_name',
          `SELECT ${AGENT_COLUMNS} FROM agent WHERE name = $1 AND tenant = $2 AND desired <> 'terminated'`,
          idOrName,
          tenant,
        ),
      );
      return rows[0] ? agentOf(rows[0]) : null;
    },

    async list(filter) {
      const limit = clampLimit(filter.limit);
      const { rows } = await listAgents(db, filter, limit);
      return page(rows, limit, agentOf);
    },

    async changedSince(versions) {
      const { rows } = await db.query<DbAgent>(
        sql(
          'agent_changed',
          `SELECT ${AGENT_COLUMNS} FROM agent WHERE owner_node = $1 AND owner_node IS NOT NULL AND changed_by IS DISTINCT FROM owner_node`,
          node,
        ),
      );
      return rows.map(agentOf).filter(({ id, version }) => version > (versions.get(id) ?? Number.POSITIVE_INFINITY));
    },

    async adopt(defHashes, limit) {
      const { rows } = await db.query<DbAgent>(
        sql(
          'agent_adopt',
          `WITH me AS MATERIALIZED (SELECT id, labels FROM node WHERE id = $1 AND lease_until > clock_timestamp() AND swept_at IS NULL
             AND NOT draining FOR KEY SHARE),
           pick AS MATERIALIZED (SELECT a.id FROM agent a CROSS JOIN me WHERE a.owner_node IS NULL AND a.desired <> 'terminated'
             AND NOT a.passive
             AND a.def_hash = ANY ($2::text[]) AND (a.requires IS NULL OR a.requires <@ me.labels) ORDER BY a.id LIMIT $3 FOR UPDATE OF a SKIP LOCKED)
           UPDATE agent a SET owner_node = $1, changed_by = $1, given = false, epoch = epoch + 1 FROM pick WHERE a.id = pick.id
           RETURNING ${AGENT_COLUMNS.replace('id,', 'a.id,')}`,
          node,
          [...defHashes],
          limit,
        ),
      );
      return rows.map(agentOf);
    },

    async liveCapabilities(tenant) {
      const { rows } = await db.query<{ name: string; version: number }>(
        sql(
          'agent_live_capabilities',
          `SELECT c.name, max(c.version) AS version
           FROM (SELECT DISTINCT owner_node, type, def_hash, capabilities FROM agent
             WHERE tenant = $1 AND desired = 'running' AND (owner_node IS NOT NULL OR passive)) a
           JOIN node n ON (n.id = a.owner_node OR a.owner_node IS NULL) AND n.swept_at IS NULL AND n.lease_until > clock_timestamp()
           CROSS JOIN LATERAL jsonb_to_recordset(n.manifest) AS m(type text, "defHash" text, capabilities jsonb)
           CROSS JOIN LATERAL jsonb_to_recordset(m.capabilities) AS c(name text, version int)
           WHERE m.type = a.type AND m."defHash" = a.def_hash AND (a.capabilities IS NULL OR a.capabilities ? c.name)
           GROUP BY c.name`,
          tenant,
        ),
      );
      return new Map(rows.map(({ name, version }) => [name, version]));
    },

    async counts() {
      const { rows } = await db.query<{ type: string; state: AgentState; count: number }>(
        sql(
          'agent_counts',
          'SELECT type, state, count(*) AS count FROM agent GROUP BY type, state ORDER BY type, state',
        ),
      );
      return rows;
    },
  };
}

function listAgents(db: Db, filter: AgentFilter, limit: number) {
  const params: unknown[] = [filter.tenant, limit + 1];
  const used: string[] = [];
  const where = (name: string, condition: (at: string) => string, value: unknown) => {
    if (value === undefined || value === null) return '';
    params.push(value);
    used.push(name);
    return ` AND ${condition(`$${params.length}`)}`;
  };
  const conditions = [
    where('type', (at) => `type = ${at}`, filter.type),
    where('state', (at) => `state = ${at}`, filter.state),
    // Without a list of its own an agent offers all that its type does on the node that owns it.
    where(
      'capability',
      (at) => `(capabilities ? ${at} OR capabilities IS NULL AND EXISTS (SELECT 1 FROM node n
        CROSS JOIN LATERAL jsonb_to_recordset(n.manifest) AS m(type text, capabilities jsonb)
        WHERE n.swept_at IS NULL AND m.type = agent.type AND m.capabilities @> jsonb_build_array(jsonb_build_object('name', ${at}::text))))`,
      filter.capability,
    ),
    where('after', (at) => `id < ${at}`, readCursor(filter.cursor)),
  ].join('');
  const withGone = filter.state === 'terminated';
  const gone = withGone ? '' : ` AND desired <> 'terminated'`;
  return db.query<DbAgent>(
    sql(
      [withGone ? 'agent_list_all' : 'agent_list', ...used].join('_'),
      `SELECT ${AGENT_COLUMNS} FROM agent WHERE tenant = $1${conditions}${gone}
       ORDER BY id DESC LIMIT $2`,
      ...params,
    ),
  );
}
