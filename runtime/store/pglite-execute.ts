// Named statements on PGlite: PREPARE once, then one simple query of EXECUTEs. Parsed and planned once instead of at every call, and one
// passage into the database instead of six; several statements of one simple query are one transaction.

import type { Statement } from '../contracts/store.ts';

export const prepareSql = ({ name, text }: Pick<Statement, 'name' | 'text'>): string => `PREPARE ${name} AS ${text}`;

/** @throws an error with the SQLSTATE of the database for a text that it cannot hold. */
export function executeSql({ name, params }: Pick<Statement, 'name' | 'params'>): string {
  return params.length === 0 ? `EXECUTE ${name}` : `EXECUTE ${name}(${params.map(literal).join(',')})`;
}

/** A parameter as a quoted literal of no type: the database reads it as the type of the parameter, as it would a bound one. */
function literal(value: unknown): string {
  if (value === null || value === undefined) return 'NULL';
  return quoted(Array.isArray(value) ? arrayText(value) : textOf(value));
}

function textOf(value: unknown): string {
  if (value instanceof Uint8Array) return `\\x${Buffer.from(value).toString('hex')}`;
  return typeof value === 'object' ? JSON.stringify(value) : String(value);
}

const arrayText = (values: readonly unknown[]): string =>
  `{${values.map((value) => (value === null || value === undefined ? 'NULL' : `"${textOf(value).replace(/["\\]/g, '\\$&')}"`)).join(',')}}`;

/** Backslashes mean themselves (standard_conforming_strings), so quotes are all that is doubled. A zero byte would end the query. */
function quoted(text: string): string {
  if (text.includes('\0'))
    throw Object.assign(new Error('invalid byte sequence for encoding "UTF8": 0x00'), { code: '22021' });
  return `'${text.replaceAll("'", "''")}'`;
}
