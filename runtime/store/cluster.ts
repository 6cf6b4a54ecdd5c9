// What nodes ask the database about each other: who lives where, who is there, and the secret they share.

import { randomBytes } from 'node:crypto';
import { fromUuid } from '../contracts/ids.ts';
import type { ClusterStore } from '../contracts/store-cluster.ts';
import type { Db } from '../contracts/store-db.ts';
import { few, idOrNull, sql, uuidOf } from './sql.ts';

const KEY_BYTES = 32;

interface MemberRecord {
  readonly id: string;
  readonly host: string;
  readonly pid: number;
  readonly draining: boolean;
  readonly labels: Readonly<Record<string, string>>;
  readonly alive: boolean;
  readonly started_at: string;
  readonly left_ms: number;
  readonly age_ms: number;
  readonly agents: number;
}

export function createClusterStore(db: Db): ClusterStore {
  return {
    async places(ids) {
      const uuids = ids.flatMap((id) => uuidOf('agent', id) ?? []);
      if (uuids.length === 0) return [];
      const { rows } = await db.query<{
        id: string;
        owner_node: string | null;
        epoch: number;
        ended: boolean;
        passive: boolean;
      }>(
        sql(
          'agent_places',
          `SELECT id, owner_node, epoch, desired = 'terminated' AS ended, passive FROM agent
           WHERE id = ANY ($1::uuid[]) AND ${few('epoch')}`,
          uuids,
        ),
      );
      return rows.map((row) => ({
        id: fromUuid('agent', row.id),
        owner: idOrNull('node', row.owner_node),
        epoch: row.epoch,
        ended: row.ended,
        ...(row.passive ? { passive: true } : {}),
      }));
    },

    async members() {
      const { rows } = await db.query<MemberRecord>(
        sql(
          'node_members',
          `SELECT n.id, n.host, n.pid, n.draining, n.labels, n.started_at, n.lease_until > clock_timestamp() AS alive,
             greatest(0, extract(epoch FROM n.lease_until - clock_timestamp()) * 1000)::float8 AS left_ms,
             greatest(0, n.lease_ms - extract(epoch FROM n.lease_until - clock_timestamp()) * 1000)::float8 AS age_ms,
             (SELECT count(*) FROM agent a WHERE a.owner_node = n.id AND a.desired <> 'terminated') AS agents
           FROM node n WHERE n.swept_at IS NULL ORDER BY n.started_at, n.id`,
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
        heartbeatAgeMs: row.age_ms,
        agents: Number(row.agents),
      }));
    },

    async hosts() {
      const { rows } = await db.query<{
        id: string;
        labels: Readonly<Record<string, string>>;
        hashes: readonly string[] | null;
      }>(
        sql(
          'node_hosts',
          `SELECT id, labels, ARRAY(SELECT value->>'defHash' FROM jsonb_array_elements(manifest)) AS hashes
           FROM node WHERE swept_at IS NULL AND lease_until > clock_timestamp() AND NOT draining`,
        ),
      );
      return rows.map(({ id, labels, hashes }) => ({ id: fromUuid('node', id), labels, defHashes: hashes ?? [] }));
    },

    async key() {
      await db.query(
        sql(
          'cluster_key_make',
          'INSERT INTO cluster_key (sole, secret) VALUES (true, $1) ON CONFLICT DO NOTHING',
          randomBytes(KEY_BYTES).toString('hex'),
        ),
      );
      const { rows } = await db.query<{ secret: string }>(sql('cluster_key', 'SELECT secret FROM cluster_key'));
      return Buffer.from(rows[0]?.secret ?? '', 'hex');
    },
  };
}
