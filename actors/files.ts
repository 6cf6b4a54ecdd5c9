// Reading files for agents: only below a root, only of a bounded size, only text. Errors name the file and what to do.

import { open, realpath, stat } from 'node:fs/promises';
import { isAbsolute, relative, resolve, sep } from 'node:path';
import { TaskError } from '../runtime/contracts/errors.ts';

/** Default limit of one file. */
export const MAX_FILE_BYTES = 5_000_000;

/** Thrown when a path cannot be read; the caller must name another one. Never retried: trying again would not help. */
export function fileError(
  code: 'file_not_found' | 'path_outside_root' | 'file_too_large' | 'not_text' | 'not_a_folder' | 'file_unreadable',
  message: string,
  file: string,
): TaskError {
  return new TaskError(code, message, { retryable: false, details: { file } });
}

/**
 * The real path of `path` (relative to `root`), which must lie in `root` after all symbolic links are followed.
 * @throws TaskError `file_not_found`, `path_outside_root`
 */
export async function resolveBelow(root: string, path: string): Promise<string> {
  if (path.includes('\0')) throw fileError('file_not_found', 'a path must not hold a null character', path);
  const realRoot = await realpath(root).catch(() => {
    throw fileError('file_not_found', `no such folder: ${root}`, root);
  });
  const wanted = resolve(realRoot, path);
  const real = await realpath(wanted).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'EACCES') throw fileError('file_unreadable', `not allowed to read ${path}`, path);
    throw fileError('file_not_found', `no such file or folder: ${path}`, path);
  });
  if (!isBelow(realRoot, real)) throw fileError('path_outside_root', `${path} is outside of ${root}`, path);
  return real;
}

/** Whether `path` is `root` or lies in it. Both absolute and real. */
export function isBelow(root: string, path: string): boolean {
  const way = relative(root, path);
  return way === '' || (!isAbsolute(way) && way !== '..' && !way.startsWith(`..${sep}`));
}

/**
 * The text of a file, without a byte order mark. UTF-16 with a mark is decoded, other text is taken as UTF-8.
 * @throws TaskError `file_too_large`, `not_text` (it holds null bytes), `file_unreadable`, `file_not_found`
 */
export async function readTextFile(
  path: string,
  options: { shownAs?: string; maxBytes?: number } = {},
): Promise<string> {
  const name = options.shownAs ?? path;
  const maxBytes = options.maxBytes ?? MAX_FILE_BYTES;
  const bytes = await readBytes(path, name, maxBytes);
  const encoding = encodingOf(bytes);
  if (!encoding) throw fileError('not_text', `${name} is not a text file`, name);
  return new TextDecoder(encoding).decode(bytes);
}

async function readBytes(path: string, name: string, maxBytes: number): Promise<Buffer> {
  try {
    // The kind first: opening a pipe would wait for its writer.
    if (!(await stat(path)).isFile()) throw fileError('file_unreadable', `${name} is not a regular file`, name);
    await using file = await open(path, 'r');
    const { size } = await file.stat();
    if (size > maxBytes)
      throw fileError('file_too_large', `${name} has ${size} bytes; at most ${maxBytes} are read`, name);
    return await file.readFile();
  } catch (error) {
    if (error instanceof TaskError) throw error;
    const { code, message } = error as NodeJS.ErrnoException;
    if (code === 'ENOENT') throw fileError('file_not_found', `no such file: ${name}`, name);
    throw fileError('file_unreadable', `cannot read ${name}: ${code ?? message}`, name);
  }
}

const SNIFFED_BYTES = 8_192;

function encodingOf(bytes: Buffer): string | undefined {
  if (bytes[0] === 0xff && bytes[1] === 0xfe) return 'utf-16le';
  if (bytes[0] === 0xfe && bytes[1] === 0xff) return 'utf-16be';
  return bytes.subarray(0, SNIFFED_BYTES).includes(0) ? undefined : 'utf-8';
}

/**
 * The folder an agent may read: `config.root`, else the working directory of the node. With `TROUPE_FILE_ROOTS` set
 * (folders, comma separated) it must lie in one of them: the limit of whoever runs the node, above that of whoever creates agents.
 * @throws TaskError `path_outside_root`, `file_not_found`
 */
export async function agentRoot(
  config: Record<string, unknown>,
  surroundings: { readonly cwd: string; readonly env: Readonly<Record<string, string | undefined>> },
): Promise<string> {
  const wanted = typeof config.root === 'string' && config.root !== '' ? config.root : '.';
  const root = await realpath(resolve(surroundings.cwd, wanted)).catch(() => {
    throw fileError('file_not_found', `no such folder: ${wanted}`, wanted);
  });
  const allowed = (surroundings.env.TROUPE_FILE_ROOTS ?? '')
    .split(',')
    .map((text) => text.trim())
    .filter(Boolean);
  if (allowed.length === 0) return root;
  for (const folder of allowed) {
    const real = await realpath(resolve(surroundings.cwd, folder)).catch(() => undefined);
    if (real !== undefined && isBelow(real, root)) return root;
  }
  throw fileError('path_outside_root', `${wanted} is outside of TROUPE_FILE_ROOTS`, wanted);
}
