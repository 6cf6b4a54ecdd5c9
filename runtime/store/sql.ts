// Statements, ids and rows: what every table module of the store shares. Knows no table.

import { RuntimeError } from '../contracts/errors.ts';
import { fromUuid, ID_PREFIX, type IdKind, isId, isUuid, type NodeId, toUuid } from '../contracts/ids.ts';
import type { Db, Rows, Statement } from '../contracts/store.ts';

/** A {@link Db} with a lane of its own for the group commit, so that slow reads never hold up a flush. */
export interface StoreDb extends Db {
  /** Like `batch`, on the flusher's connection. */
  flush(statements: readonly Statement[]): Promise<readonly Rows[]>;
  onHealth(listener: (up: boolean) => void): () => void;
  /** Those there are, those nobody uses, and the statements that wait for one. Absent: there are none to wait for. */
  connections?(): { readonly connections: number; readonly idle: number; readonly waiting: number };
  /**
   * Moves with every statement that is sent and with every one that ends, renewals of the lease and pulses left out. Only where nobody
   * else writes to the database: as long as it stands still, nothing there has changed.
   */
  changes?(): number;
}

/** What needs no thought as an identifier; a longer one would be cut. */
const NAME = /^[a-z][a-z0-9_]{0,61}$/;

/** A named statement. The name stands for the text: one name, one text; it is prepared under it. */
export function sql(name: string, text: string, ...params: readonly unknown[]): Statement {
  if (!NAME.test(name)) throw new TypeError(`"${name}" is no name for a statement`);
  return { name, text, params };
}

/**
 * Always true for an integer column; the planner takes it for one row in two hundred. Statements over a batch use it so that the rows are
 * looked up by key: plans are cached, and one made while the table was small would read the whole table when it is large.
 */
export const few = (column: string): string => `${column} % 1 = 0`;

/** A time as milliseconds since 1970. */
export const MS = (at: string): string => `floor(extract(epoch FROM ${at}) * 1000)::bigint`;

/** An error of the database itself (not of the way to it), with its SQLSTATE. */
export class SqlError extends Error {
  readonly sqlState: string;
  readonly constraint: string | undefined;
  constructor(message: string, sqlState: string, constraint?: string) {
    super(message);
    this.name = 'SqlError';
    this.sqlState = sqlState;
    this.constraint = constraint;
  }
}

/** Serialization failure, deadlock, lock not available: the same transaction may succeed at once. */
export const isTransient = (error: unknown): boolean =>
  error instanceof SqlError && ['40001', '40P01', '55P03'].includes(error.sqlState);

/** What callers see of a statement that the database refused: data it cannot hold, or our fault. */
export function toStoreError(error: unknown): unknown {
  if (!(error instanceof SqlError)) return error;
  if (error.sqlState.startsWith('22') || error.sqlState.startsWith('54'))
    return new RuntimeError('invalid_input', `the database cannot store this value: ${error.message}`, {
      details: { sqlState: error.sqlState },
      cause: error,
    });
  return new RuntimeError('internal', `the database refused a statement: ${error.message}`, {
    details: { sqlState: error.sqlState },
    cause: error,
  });
}

/** The uuid of an id, or undefined when the text is no id of this kind. */
export const uuidOf = (kind: IdKind, id: string): string | undefined => (isId(kind, id) ? toUuid(id) : undefined);

export const nodeUuid = (id: NodeId): string => toUuid(id);

export const idOrNull = <Kind extends IdKind>(kind: Kind, uuid: unknown) =>
  typeof uuid === 'string' ? fromUuid(kind, uuid) : null;

/** The kind of thing a TypeID names, or undefined when it is none. */
export function kindOf(id: string): IdKind | undefined {
  return (Object.keys(ID_PREFIX) as IdKind[]).find((kind) => isId(kind, id));
}

const ID_FIELDS: Readonly<Record<string, IdKind>> = {
  taskId: 'task',
  agentId: 'agent',
  workflowId: 'workflow',
  node: 'node',
};

/** Data that SQL itself wrote carries plain uuids: turns the known fields into TypeIDs. */
export function withTypeIds<T>(data: T): T {
  if (typeof data !== 'object' || data === null) return data;
  const out = { ...data } as Record<string, unknown>;
  for (const [field, kind] of Object.entries(ID_FIELDS)) {
    const value = out[field];
    if (typeof value === 'string' && isUuid(value)) out[field] = fromUuid(kind, value);
  }
  return out as T;
}

/** Opaque position in a list ordered by id. */
export const cursorOf = (uuid: string): string => Buffer.from(`1:${uuid}`).toString('base64url');

/** @throws RuntimeError `invalid_input` for a text that {@link cursorOf} did not make. */
export function readCursor(cursor: string | undefined): string | null {
  if (cursor === undefined) return null;
  const text = Buffer.from(cursor, 'base64url').toString();
  const uuid = text.slice(2);
  if (cursor.length > 100 || !text.startsWith('1:') || !isUuid(uuid) || cursorOf(uuid) !== cursor)
    throw new RuntimeError('invalid_input', 'the cursor is not one of this list', { details: { field: 'cursor' } });
  return uuid;
}

/** One page out of `limit + 1` rows. */
export function page<Row extends { readonly id: string }, T>(
  rows: readonly Row[],
  limit: number,
  view: (row: Row) => T,
) {
  const shown = rows.slice(0, limit);
  const last = shown.at(-1);
  return { items: shown.map(view), nextCursor: rows.length > limit && last ? cursorOf(last.id) : null };
}

/** A limit between 1 and 1,000. */
export const clampLimit = (limit: number): number => Math.min(1_000, Math.max(1, Math.trunc(limit) || 1));
