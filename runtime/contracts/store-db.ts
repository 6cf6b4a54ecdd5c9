// The database under a store, as its statements see it.

export interface Statement {
  /** Prepared statement name; one per SQL text. */
  readonly name: string;
  readonly text: string;
  readonly params: readonly unknown[];
}

export interface Rows<Row = Record<string, unknown>> {
  readonly rows: readonly Row[];
  readonly rowCount: number;
}

/** A database. bigint comes as number, timestamptz as ISO text, bytea as Uint8Array on both. */
export interface Db {
  readonly kind: 'pglite' | 'postgres';
  query<Row = Record<string, unknown>>(statement: Statement): Promise<Rows<Row>>;
  /** All statements in one transaction, all or nothing, with no JavaScript awaited in between. */
  batch(statements: readonly Statement[]): Promise<readonly Rows[]>;
  /** Plain SQL text of many statements (migrations). */
  script(sql: string): Promise<void>;
  close(): Promise<void>;
}
