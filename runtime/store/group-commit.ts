// Group commit: operations that are in flight at once share one transaction. While one flush commits the next one gathers; no timer.
// Operations of one kind become one set-based statement with one jsonb parameter. A row that the database refuses fails only its own caller.

import type { RuntimeError } from '../contracts/errors.ts';
import type { Rows, Statement } from '../contracts/store.ts';
import { SqlError, toStoreError } from './sql.ts';

/** One kind of operation: how many of them become one statement, and what each caller gets of its rows. */
export interface OpKind<Op, Row, Out> {
  readonly name: string;
  /** How a row finds its operation when the statement returns `id` instead of the position `i`. */
  key?(op: Op): string;
  /** All operations with one key get its rows; otherwise only the first one does. */
  readonly sharedKey?: boolean;
  /** The row of one operation, as `jsonb_to_recordset` reads it; the commit adds its position as `i`. */
  encode(op: Op): object;
  /** `json` is the array of all rows. */
  statement(json: string): Statement;
  /** Called once per operation with the rows whose `i` is its position (or whose `id` is its key); `shared` are those whose `i` is null. */
  decode(op: Op, rows: readonly Row[], shared: readonly Row[]): Out;
}

/** What says whose a row is. */
type Keyed = { readonly i?: number | null; readonly id?: string };

interface Pending {
  readonly kind: OpKind<unknown, Keyed, unknown>;
  readonly op: unknown;
  readonly json: string;
  readonly resolve: (value: unknown) => void;
  readonly reject: (error: unknown) => void;
}

export interface GroupCommit {
  /** Resolves after the commit that carried the operation. */
  run<Op, Row extends object, Out>(kind: OpKind<Op, Row, Out>, op: Op): Promise<Out>;
  /** Operations that one transaction carries, or none: what the database refuses of one is refused of all. */
  runWith<Op, Row extends object, Out, Op2, Row2 extends object, Out2>(
    kind: OpKind<Op, Row, Out>,
    ops: readonly Op[],
    kind2: OpKind<Op2, Row2, Out2>,
    op2: Op2,
  ): Promise<readonly [readonly Out[], Out2]>;
  /** Operations that wait for the next flush. */
  gathering(): number;
  /** Resolves when nothing is in flight. New operations are refused from then on. */
  close(): Promise<void>;
}

export interface GroupCommitOptions {
  /** `operations`: how many these statements carry together. */
  readonly flush: (statements: readonly Statement[], operations: number) => Promise<readonly Rows[]>;
  /** Kinds in the order in which one flush carries them out: settlements free what claims want. */
  readonly order: readonly string[];
  /** Most operations in one flush, default 2,000. */
  readonly maxOps?: number;
  /** Most bytes of parameters in one flush, default 8 MiB; a single larger operation still goes alone. */
  readonly maxBytes?: number;
  /**
   * Awaited before each flush: what its end lets callers submit is gathered. Default: one microtask, so that what the same turn still
   * submits rides along.
   */
  readonly turn?: () => Promise<void>;
  readonly closed: () => RuntimeError;
}

export function createGroupCommit(options: GroupCommitOptions): GroupCommit {
  const { maxOps = 2_000, maxBytes = 8 * 1024 * 1024, turn = () => Promise.resolve() } = options;
  const rank = new Map(options.order.map((name, at) => [name, at]));
  /** What stays together. */
  const queue: Unit[] = [];
  let flushing: Promise<void> | null = null;
  let closed = false;

  function take(): Unit[] {
    let bytes = 0;
    let count = 0;
    let units = 0;
    for (const unit of queue) {
      const size = unit.reduce((sum, { json }) => sum + json.length, 0);
      if (units > 0 && (count + unit.length > maxOps || bytes + size > maxBytes)) break;
      bytes += size;
      count += unit.length;
      units++;
    }
    return queue.splice(0, units);
  }

  async function loop(): Promise<void> {
    while (queue.length > 0) {
      await turn();
      await commit(take());
    }
    flushing = null;
  }

  async function commit(units: readonly Unit[]): Promise<void> {
    const all = units.flat();
    const groups = group(all, rank);
    let results: readonly Rows[];
    try {
      const statements = groups.map(({ kind, ops: members }) => kind.statement(encodeAll(members)));
      results = await options.flush(statements, all.length);
    } catch (error) {
      await refuse(units, error);
      return;
    }
    groups.forEach(({ kind, ops: members }, at) => {
      deliver(kind, members, (results[at]?.rows ?? []) as Keyed[]);
    });
  }

  /** The database refused something: halve until the row at fault stands alone. A lost connection fails all, outcome unknown. */
  async function refuse(units: readonly Unit[], error: unknown): Promise<void> {
    if (!(error instanceof SqlError) || units.length === 1) {
      for (const { reject } of units.flat()) reject(toStoreError(error));
      return;
    }
    const half = units.length >> 1;
    await commit(units.slice(0, half));
    await commit(units.slice(half));
  }

  function submit(unit: Unit): void {
    if (closed) throw options.closed();
    queue.push(unit);
    flushing ??= loop();
  }

  return {
    run: (kind, op) =>
      new Promise((resolve, reject) => {
        submit([pending(kind, op, resolve, reject)]);
      }),
    runWith: <Op, Row extends object, Out, Op2, Row2 extends object, Out2>(
      kind: OpKind<Op, Row, Out>,
      ops: readonly Op[],
      kind2: OpKind<Op2, Row2, Out2>,
      op2: Op2,
    ) => {
      const unit: Pending[] = [];
      const outs = ops.map(
        (op) => new Promise<Out>((resolve, reject) => void unit.push(pending(kind, op, resolve, reject))),
      );
      const last = new Promise<Out2>((resolve, reject) => void unit.push(pending(kind2, op2, resolve, reject)));
      const all = Promise.all([Promise.all(outs), last] as const);
      try {
        submit(unit);
      } catch (error) {
        for (const { reject } of unit) reject(error);
      }
      return all;
    },
    gathering: () => queue.reduce((count, unit) => count + unit.length, 0),
    async close() {
      closed = true;
      while (flushing) await flushing;
    },
  };
}

type Unit = readonly Pending[];

const pending = <Op, Row extends object, Out>(
  kind: OpKind<Op, Row, Out>,
  op: Op,
  resolve: (value: Out) => void,
  reject: (error: unknown) => void,
): Pending => ({ kind, op, json: JSON.stringify(kind.encode(op)), resolve, reject }) as unknown as Pending;

interface Group {
  readonly kind: Pending['kind'];
  readonly ops: Pending[];
}

function group(ops: readonly Pending[], rank: ReadonlyMap<string, number>): Group[] {
  const groups = new Map<string, Group>();
  for (const op of ops) {
    const found = groups.get(op.kind.name);
    if (found) found.ops.push(op);
    else groups.set(op.kind.name, { kind: op.kind, ops: [op] });
  }
  return [...groups.values()].sort((a, b) => (rank.get(a.kind.name) ?? 0) - (rank.get(b.kind.name) ?? 0));
}

/** `[{"i":0,...},{"i":1,...}]` out of the texts that the callers already paid for. */
function encodeAll(ops: readonly Pending[]): string {
  return `[${ops.map(({ json }, i) => (json === '{}' ? `{"i":${i}}` : `{"i":${i},${json.slice(1)}`)).join(',')}]`;
}

function deliver(kind: Pending['kind'], ops: readonly Pending[], rows: readonly Keyed[]): void {
  const byOp = new Map<unknown, Keyed[]>();
  for (const row of rows) {
    const key = kind.key ? row.id : row.i;
    const found = byOp.get(key);
    if (found) found.push(row);
    else byOp.set(key, [row]);
  }
  const shared = kind.key ? [] : (byOp.get(null) ?? []);
  ops.forEach(({ op, resolve, reject }, i) => {
    const key = kind.key ? kind.key(op) : i;
    try {
      resolve(kind.decode(op, byOp.get(key) ?? [], shared));
    } catch (error) {
      reject(error);
    }
    if (!kind.sharedKey) byOp.delete(key);
  });
}
