// Channels, groups and subscriptions as rows. A change of members and the view number that tells of it are one statement.

import { type AgentId, type ChannelId, fromUuid, toUuid } from '../contracts/ids.ts';
import type { MessageFilter } from '../contracts/messages.ts';
import type { Db } from '../contracts/store.ts';
import type { ChannelRow, ChannelStore, MemberRow, MemberSetKind } from '../contracts/store-channels.ts';
import type { Condition } from '../contracts/workflow.ts';
import { agentIds, offering, select } from './channel-agents.ts';
import { clampLimit, page, readCursor, sql, uuidOf } from './sql.ts';

interface DbChannel {
  readonly id: string;
  readonly tenant: string;
  readonly kind: MemberSetKind;
  readonly name: string;
  readonly view: number;
  readonly filter: MessageFilter | null;
  readonly created_at: string;
  readonly members: number;
}

interface DbMember {
  readonly id: string;
  readonly topic: string;
  readonly type: string;
  readonly condition: Condition | null;
  readonly joined_at: string;
}

const HEAD = 'c.id, c.tenant, c.kind, c.name, c.view, c.filter, c.created_at';
const COLUMNS = `${HEAD}, (SELECT count(*) FROM channel_member m WHERE m.channel_id = c.id) AS members`;
const MEMBER = 'm.agent_id AS id, m.topic, m.type, m.condition, m.joined_at';

// What is there already with the same condition changes nothing, and then the view stays: agents subscribe anew whenever they start.
const JOIN = `WITH ch AS MATERIALIZED (SELECT * FROM channel WHERE id = $1 FOR UPDATE),
r AS (SELECT DISTINCT ON (agent_id, topic, type) * FROM jsonb_to_recordset($2::jsonb)
  AS r(agent_id uuid, topic text, type text, condition jsonb)),
ins AS (INSERT INTO channel_member (channel_id, agent_id, topic, type, condition)
  SELECT ch.id, r.agent_id, r.topic, r.type, r.condition FROM r CROSS JOIN ch
  JOIN agent a ON a.id = r.agent_id AND a.tenant = ch.tenant AND a.desired <> 'terminated'
  ON CONFLICT (channel_id, agent_id, topic, type) DO UPDATE SET condition = excluded.condition
    WHERE channel_member.condition IS DISTINCT FROM excluded.condition
  RETURNING (xmax = 0) AS added),
up AS (UPDATE channel SET view = view + 1 WHERE id = $1 AND EXISTS (SELECT 1 FROM ins) RETURNING view)
SELECT c.id, c.tenant, c.kind, c.name, coalesce((SELECT view FROM up), c.view) AS view, c.filter, c.created_at,
  (SELECT count(*) FROM channel_member m WHERE m.channel_id = c.id) + (SELECT count(*) FROM ins WHERE added) AS members
FROM ch c`;

const LEAVE = `WITH ch AS MATERIALIZED (SELECT * FROM channel WHERE id = $1 FOR UPDATE),
gone AS (DELETE FROM channel_member m USING ch, jsonb_to_recordset($2::jsonb) AS r(agent_id uuid, topic text, type text)
  WHERE m.channel_id = ch.id AND m.agent_id = r.agent_id AND m.topic = r.topic AND m.type = r.type RETURNING m.agent_id),
up AS (UPDATE channel SET view = view + 1 WHERE id = $1 AND EXISTS (SELECT 1 FROM gone) RETURNING view)
SELECT c.id, c.tenant, c.kind, c.name, coalesce((SELECT view FROM up), c.view) AS view, c.filter, c.created_at,
  (SELECT count(*) FROM channel_member m WHERE m.channel_id = c.id) - (SELECT count(*) FROM gone) AS members,
  (SELECT count(*) FROM gone) AS left_count
FROM ch c`;

export function createChannelStore(db: Db): ChannelStore {
  async function get(idOrName: string, tenant: string, kind?: MemberSetKind): Promise<ChannelRow | null> {
    const uuid = uuidOf('channel', idOrName);
    const { rows } = await db.query<DbChannel>(
      uuid
        ? sql(
            'channel_get',
            `SELECT ${COLUMNS} FROM channel c WHERE id = $1 AND tenant = $2 AND ($3::text IS NULL OR kind = $3)`,
            uuid,
            tenant,
            kind ?? null,
          )
        : sql(
            'channel_get_name',
            `SELECT ${COLUMNS} FROM channel c WHERE name = $1 AND tenant = $2 AND (kind = 'topics') = ($3 = 'topics')
               AND ($3 = '' OR kind = $3)`,
            idOrName,
            tenant,
            kind ?? '',
          ),
    );
    return rows[0] ? channelOf(rows[0]) : null;
  }

  return {
    get,
    agentIds: (idsOrNames, tenant) => agentIds(db, idsOrNames, tenant),
    select: (tenant, selector, limit) => select(db, tenant, selector, limit),
    offering: (tenant, capability, version) => offering(db, tenant, capability, version),

    async create({ id, tenant, kind, name, filter }) {
      const { rows } = await db.query<DbChannel>(
        sql(
          'channel_create',
          `INSERT INTO channel (id, tenant, kind, name, filter) VALUES ($1, $2, $3, $4, $5::jsonb)
           ON CONFLICT (tenant, (kind = 'topics'), name) DO NOTHING
           RETURNING id, tenant, kind, name, view, filter, created_at, 0 AS members`,
          toUuid(id),
          tenant,
          kind,
          name,
          filter ? JSON.stringify(filter) : null,
        ),
      );
      if (rows[0]) return { outcome: 'created', channel: channelOf(rows[0]) };
      const channel = await get(name, tenant, kind === 'topics' ? kind : undefined);
      // Deleted in between: it was there, which is what counts.
      return { outcome: 'exists', channel: channel ?? lost({ id, tenant, kind, name }) };
    },

    async list({ tenant, kind, member, limit: wanted, cursor }) {
      const limit = clampLimit(wanted);
      const { rows } = await db.query<DbChannel>(
        sql(
          'channel_list',
          `SELECT ${COLUMNS} FROM channel c WHERE tenant = $1 AND kind <> 'topics' AND ($3::text IS NULL OR kind = $3)
             AND ($4::uuid IS NULL OR EXISTS (SELECT 1 FROM channel_member m WHERE m.agent_id = $4 AND m.channel_id = c.id))
             AND ($5::uuid IS NULL OR id < $5)
           ORDER BY id DESC LIMIT $2`,
          tenant,
          limit + 1,
          kind ?? null,
          member ? toUuid(member) : null,
          readCursor(cursor),
        ),
      );
      return page(rows, limit, channelOf);
    },

    async members(id) {
      const { rows } = await db.query<DbMember & { readonly view: number }>(
        sql(
          'channel_members',
          `SELECT c.view, ${MEMBER} FROM channel c LEFT JOIN channel_member m ON m.channel_id = c.id
             AND EXISTS (SELECT 1 FROM agent a WHERE a.id = m.agent_id AND a.desired <> 'terminated')
           WHERE c.id = $1 ORDER BY m.agent_id`,
          toUuid(id),
        ),
      );
      const [first] = rows;
      if (!first) return null;
      return { view: first.view, members: rows.filter((row) => row.id !== null).map(memberOf) };
    },

    async memberPage(id, wanted, cursor) {
      const limit = clampLimit(wanted);
      const { rows } = await db.query<DbMember & { readonly name: string }>(
        sql(
          'channel_member_page',
          `SELECT ${MEMBER}, a.name FROM channel_member m JOIN agent a ON a.id = m.agent_id AND a.desired <> 'terminated'
           WHERE m.channel_id = $1 AND ($3::uuid IS NULL OR m.agent_id > $3) ORDER BY m.agent_id LIMIT $2`,
          toUuid(id),
          limit + 1,
          readCursor(cursor),
        ),
      );
      return page(rows, limit, (row) => ({ ...memberOf(row), name: row.name }));
    },

    async join(id, members) {
      const { rows } = await db.query<DbChannel>(
        sql(
          'channel_join',
          JOIN,
          toUuid(id),
          JSON.stringify(
            members.map(({ agentId, topic = '', type = '', where }) => ({
              agent_id: toUuid(agentId),
              topic,
              type,
              condition: where,
            })),
          ),
        ),
      );
      return rows[0] ? channelOf(rows[0]) : null;
    },

    async leave(id, members) {
      const { rows } = await db.query<DbChannel & { readonly left_count: number }>(
        sql(
          'channel_leave',
          LEAVE,
          toUuid(id),
          JSON.stringify(
            members.map(({ agentId, topic = '', type = '' }) => ({ agent_id: toUuid(agentId), topic, type })),
          ),
        ),
      );
      return rows[0] ? { channel: channelOf(rows[0]), left: rows[0].left_count } : null;
    },

    async remove(id) {
      const { rows } = await db.query<{ readonly view: number; readonly agent_id: string | null }>(
        sql(
          'channel_remove',
          `WITH who AS MATERIALIZED (SELECT DISTINCT agent_id FROM channel_member WHERE channel_id = $1),
           gone AS (DELETE FROM channel WHERE id = $1 RETURNING view)
           SELECT gone.view, who.agent_id FROM gone LEFT JOIN who ON true ORDER BY who.agent_id`,
          toUuid(id),
        ),
      );
      const [first] = rows;
      if (!first) return null;
      const members = rows.flatMap(({ agent_id }) => (agent_id === null ? [] : [fromUuid('agent', agent_id)]));
      return { view: first.view, members };
    },
  };
}

function channelOf(row: DbChannel): ChannelRow {
  return {
    id: fromUuid('channel', row.id),
    tenant: row.tenant,
    kind: row.kind,
    name: row.name,
    view: row.view,
    filter: row.filter,
    members: row.members,
    createdAt: row.created_at,
  };
}

function memberOf(row: DbMember): MemberRow {
  return {
    agentId: fromUuid('agent', row.id) as AgentId,
    topic: row.topic,
    type: row.type,
    where: row.condition,
    joinedAt: row.joined_at,
  };
}

function lost(channel: { id: ChannelId; tenant: string; kind: MemberSetKind; name: string }): ChannelRow {
  return { ...channel, view: 0, filter: null, members: 0, createdAt: '' };
}
