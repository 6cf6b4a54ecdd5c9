// The modules of a thread: loads each definition once and refuses what is none.

import { ACTOR_DEFINITION, type ActorDefinition } from '../contracts/actor.ts';
import { RuntimeError } from '../contracts/errors.ts';
import type { ModuleRef } from '../contracts/wire.ts';

export type LoadModule = (specifier: string) => Promise<Record<string, unknown>>;

export class Registry {
  readonly #load: LoadModule;
  readonly #loaded = new Map<string, ActorDefinition>();
  readonly #loading = new Map<string, Promise<ActorDefinition>>();

  constructor(load: LoadModule) {
    this.#load = load;
  }

  /**
   * The definition at once when it is loaded, else a promise of it. A failed load is tried again by the next spawn.
   * Rejects with `not_a_module`.
   */
  get(module: ModuleRef): ActorDefinition | Promise<ActorDefinition> {
    const key = `${module.specifier}#${module.exportName}`;
    const loaded = this.#loaded.get(key);
    if (loaded) return loaded;
    let loading = this.#loading.get(key);
    if (!loading) {
      loading = this.#import(module)
        .then((definition) => {
          this.#loaded.set(key, definition);
          return definition;
        })
        .finally(() => this.#loading.delete(key));
      this.#loading.set(key, loading);
    }
    return loading;
  }

  async #import({ specifier, exportName }: ModuleRef): Promise<ActorDefinition> {
    let exports: Record<string, unknown>;
    try {
      exports = await this.#load(specifier);
    } catch (cause) {
      const why = cause instanceof Error ? cause.message : String(cause);
      throw new RuntimeError('not_a_module', `cannot load ${specifier}: ${why}`, { cause, details: { specifier } });
    }
    const found = exports[exportName];
    if (!isDefinition(found)) {
      const message = `export ${exportName} of ${specifier} is no actor definition: make it with defineAgent or defineActor`;
      throw new RuntimeError('not_a_module', message, { details: { specifier, exportName } });
    }
    return found;
  }
}

function isDefinition(value: unknown): value is ActorDefinition {
  return typeof value === 'object' && value !== null && ACTOR_DEFINITION in value && 'create' in value;
}
