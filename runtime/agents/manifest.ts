// The types this node can spawn: read from agent modules at start, activated by name at run time, never by a path from a request.

import { createHash } from 'node:crypto';
import { readdir, readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { ACTOR_DEFINITION, type ActorDefinition, type ManifestEntry } from '../contracts/actor.ts';
import { RuntimeError } from '../contracts/errors.ts';
import type { Manifest } from '../contracts/ports.ts';

/** Where agent modules are: a file or folder as path or `file:` URL. `dormant` ones wait to be registered at run time. */
export interface ModuleRoot {
  readonly at: string | URL;
  readonly dormant?: boolean;
}

const MODULE_FILE = /\.(m?js|m?ts)$/;
const NOT_A_MODULE_FILE = /\.d\.m?ts$|\.test\.|\.map$/;

/**
 * Imports every module of the roots and lists the definitions they export.
 * @throws RuntimeError `not_a_module` for a root that is no module or folder of modules, or that fails to load;
 * `config_invalid` when two modules define the same type.
 */
export async function loadManifest(roots: readonly ModuleRoot[]): Promise<Manifest> {
  const entries = new Map<string, ManifestEntry>();
  for (const root of roots) {
    for (const path of await moduleFiles(root.at)) {
      for (const entry of await definitionsIn(path, root.dormant !== true)) addEntry(entries, entry);
    }
  }
  return createManifest(entries);
}

function addEntry(entries: Map<string, ManifestEntry>, entry: ManifestEntry): void {
  const other = entries.get(entry.type);
  if (other?.defHash === entry.defHash) return;
  if (other) {
    throw new RuntimeError(
      'config_invalid',
      `agent type "${entry.type}" is defined twice, in ${other.module.specifier} and in ${entry.module.specifier}; rename one`,
    );
  }
  entries.set(entry.type, entry);
}

function createManifest(entries: Map<string, ManifestEntry>): Manifest {
  return {
    entries: () => [...entries.values()],
    get: (type) => entries.get(type),
    register(type) {
      const entry = entries.get(type);
      if (!entry) throw unknownType(type, [...entries.keys()]);
      const active = { ...entry, active: true };
      entries.set(type, active);
      return active;
    },
  };
}

/** The error for a type that no module of this node defines. */
export function unknownType(type: string, known: readonly string[]): RuntimeError {
  return new RuntimeError('unknown_agent_type', `no agent type "${type}"; known types: ${known.join(', ') || 'none'}`, {
    details: { type, known },
  });
}

async function moduleFiles(at: string | URL): Promise<readonly string[]> {
  const path = at instanceof URL || at.startsWith('file:') ? fileURLToPath(at) : at;
  const found = await stat(path).catch((cause: unknown) => {
    throw new RuntimeError('not_a_module', `no agent module or folder at ${path}`, { cause });
  });
  if (!found.isDirectory()) return [path];
  const names = (await readdir(path)).sort();
  const nested = await Promise.all(
    names.map(async (name) => {
      const child = join(path, name);
      if ((await stat(child)).isDirectory()) return name === 'node_modules' ? [] : moduleFiles(child);
      return MODULE_FILE.test(name) && !NOT_A_MODULE_FILE.test(name) ? [child] : [];
    }),
  );
  return nested.flat();
}

async function definitionsIn(path: string, active: boolean): Promise<readonly ManifestEntry[]> {
  const specifier = pathToFileURL(path).href;
  const exports = await importModule(specifier);
  const source = await readFile(path);
  return Object.entries(exports).flatMap(([exportName, value]) =>
    isDefinition(value)
      ? [{ ...value.manifest, module: { specifier, exportName }, defHash: defHash(source, value), active }]
      : [],
  );
}

async function importModule(specifier: string): Promise<Record<string, unknown>> {
  try {
    return (await import(/* @vite-ignore */ specifier)) as Record<string, unknown>;
  } catch (cause) {
    const why = cause instanceof Error ? cause.message : String(cause);
    throw new RuntimeError('not_a_module', `cannot load the agent module ${specifier}: ${why}`, { cause });
  }
}

/** Same text and same manifest: the same definition, on whichever node. */
function defHash(source: Buffer, definition: ActorDefinition): string {
  return createHash('sha256').update(source).update(JSON.stringify(definition.manifest)).digest('hex').slice(0, 16);
}

function isDefinition(value: unknown): value is ActorDefinition {
  return typeof value === 'object' && value !== null && ACTOR_DEFINITION in value;
}
