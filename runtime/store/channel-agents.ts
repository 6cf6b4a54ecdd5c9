// Agents as messages to many look for them: by name, by selector, by what they offer.

import { type AgentId, fromUuid, toUuid } from '../contracts/ids.ts';
import type { Selector } from '../contracts/messages.ts';
import type { Db } from '../contracts/store.ts';
import { sql, uuidOf } from './sql.ts';

/** Without a list of its own an agent offers all that its type does on the node that owns it. */
const offersIt = (name: string, version: string): string => `(a.capabilities IS NULL OR a.capabilities ? ${name})
  AND EXISTS (SELECT 1 FROM node n CROSS JOIN LATERAL jsonb_to_recordset(n.manifest) AS m(type text, capabilities jsonb)
    CROSS JOIN LATERAL jsonb_to_recordset(m.capabilities) AS c(name text, version int)
    WHERE n.id = a.owner_node AND n.swept_at IS NULL AND m.type = a.type AND c.name = ${name} AND (${version}::int IS NULL OR c.version = ${version}))`;

export async function agentIds(
  db: Db,
  idsOrNames: readonly string[],
  tenant: string,
): Promise<readonly (AgentId | null)[]> {
  const asked = idsOrNames.map((text) => ({ id: uuidOf('agent', text) ?? null, name: text }));
  const { rows } = await db.query<{ readonly id: string; readonly name: string }>(
    sql(
      'channel_agent_ids',
      `SELECT id, name FROM agent WHERE tenant = $1 AND desired <> 'terminated'
         AND (id = ANY ($2::uuid[]) OR name = ANY ($3::text[]))`,
      tenant,
      asked.flatMap(({ id }) => (id === null ? [] : [id])),
      asked.flatMap(({ id, name }) => (id === null ? [name] : [])),
    ),
  );
  const byId = new Set(rows.map(({ id }) => id));
  const byName = new Map(rows.map(({ id, name }) => [name, id]));
  return asked.map(({ id, name }) => {
    const uuid = id === null ? byName.get(name) : byId.has(id) ? id : undefined;
    return uuid === undefined ? null : fromUuid('agent', uuid);
  });
}

/** Agents that ended for good are not among them, nor those that were removed. */
export async function select(
  db: Db,
  tenant: string,
  { ids, type, capability, label }: Omit<Selector, 'group'>,
  limit: number,
): Promise<readonly AgentId[]> {
  const [name, version] = capability?.split('@') ?? [];
  const { rows } = await db.query<{ readonly id: string }>(
    sql(
      name === undefined ? 'channel_select' : 'channel_select_offering',
      `SELECT a.id FROM agent a WHERE a.tenant = $1 AND a.desired <> 'terminated' AND a.state <> 'terminated'
         AND ($3::uuid[] IS NULL OR a.id = ANY ($3)) AND ($4::text IS NULL OR a.type = $4)
         AND ($5::jsonb IS NULL OR a.labels @> $5)${name === undefined ? '' : ` AND ${offersIt('$6', '$7')}`}
       ORDER BY a.id LIMIT $2`,
      tenant,
      limit,
      ids ? ids.map(toUuid) : null,
      type ?? null,
      label ? JSON.stringify(label) : null,
      ...(name === undefined ? [] : [name, version === undefined ? null : Number(version)]),
    ),
  );
  return rows.map(({ id }) => fromUuid('agent', id));
}

export async function offering(
  db: Db,
  tenant: string,
  name: string,
  version: number | null,
): Promise<readonly AgentId[]> {
  const { rows } = await db.query<{ readonly id: string }>(
    sql(
      'channel_offering',
      `SELECT a.id FROM agent a JOIN node o ON o.id = a.owner_node AND o.swept_at IS NULL AND o.lease_until > clock_timestamp()
       WHERE a.tenant = $1 AND a.desired = 'running' AND a.state IN ('idle', 'running') AND ${offersIt('$2', '$3')}
       ORDER BY a.id`,
      tenant,
      name,
      version,
    ),
  );
  return rows.map(({ id }) => fromUuid('agent', id));
}
