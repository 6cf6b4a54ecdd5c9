// The lock of a data folder: PGlite itself has none, and a second process would silently lose rows.
// Holding it proves every earlier owner of the folder dead.

import { readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { RuntimeError } from '../contracts/errors.ts';

interface Holder {
  readonly pid: number;
  /** Start of the process and of the machine: a pid alone may have a new owner. Null where /proc is missing. */
  readonly startedAt: string | null;
  readonly boot: string | null;
}

const STALE_STEAL_MS = 10_000;

/** Takes the lock; the result gives it back. @throws RuntimeError `store_locked` while its holder lives. */
export function takeLock(path: string): () => void {
  const mine = JSON.stringify(describe(process.pid));
  for (let round = 0; round < 10; round++) {
    try {
      writeFileSync(path, mine, { flag: 'wx', mode: 0o600 });
      return () => {
        if (read(path) === mine) rmSync(path, { force: true });
      };
    } catch (error) {
      if ((error as { code?: unknown }).code !== 'EEXIST') throw error;
    }
    const text = read(path);
    if (text === null) continue;
    const holder = parse(text);
    if (!holder || isAlive(holder)) {
      throw new RuntimeError(
        'store_locked',
        `the data folder is in use by process ${holder?.pid ?? 'unknown'} (lock file ${path})`,
        { details: { pid: holder?.pid ?? null, lockFile: path } },
      );
    }
    stealFrom(path, text);
  }
  throw new RuntimeError('store_locked', `the lock file ${path} keeps changing hands`, { details: { lockFile: path } });
}

/** Removes a dead holder's lock. Guarded by a second file, or two thieves could each remove the other's fresh lock. */
function stealFrom(path: string, text: string): void {
  const guard = `${path}.steal`;
  try {
    writeFileSync(guard, '', { flag: 'wx' });
  } catch {
    if (ageMs(guard) > STALE_STEAL_MS) rmSync(guard, { force: true });
    return;
  }
  try {
    if (read(path) === text) rmSync(path, { force: true });
  } finally {
    rmSync(guard, { force: true });
  }
}

function ageMs(path: string): number {
  try {
    return Date.now() - statSync(path).mtimeMs;
  } catch {
    return 0;
  }
}

function read(path: string): string | null {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return null;
  }
}

function parse(text: string): Holder | undefined {
  try {
    const holder: unknown = JSON.parse(text);
    return typeof holder === 'object' && holder !== null && Number.isInteger((holder as Holder).pid)
      ? (holder as Holder)
      : undefined;
  } catch {
    return undefined;
  }
}

function describe(pid: number): Holder {
  // Field 22 of /proc/PID/stat; the second field may hold blanks and brackets, so count after the last one.
  const stat = read(`/proc/${pid}/stat`);
  const startedAt = stat?.slice(stat.lastIndexOf(')') + 2).split(' ')[19] ?? null;
  return { pid, startedAt, boot: read('/proc/sys/kernel/random/boot_id')?.trim() ?? null };
}

function isAlive(holder: Holder): boolean {
  try {
    process.kill(holder.pid, 0);
  } catch (error) {
    if ((error as { code?: unknown }).code === 'ESRCH') return false;
  }
  const now = describe(holder.pid);
  const sameBoot = holder.boot === null || now.boot === null || holder.boot === now.boot;
  const sameStart = holder.startedAt === null || now.startedAt === null || holder.startedAt === now.startedAt;
  return sameBoot && sameStart;
}
