// From a request body to a definition that can run: validated, its pattern found, its graph checked, its hash taken.

import { createHash } from 'node:crypto';
import type { z } from 'zod';
import { canonicalJson } from '../contracts/canonical-json.ts';
import type { CoordinationStrategy } from '../contracts/coordination.ts';
import { RuntimeError } from '../contracts/errors.ts';
import { type CreateWorkflow, createWorkflowSchema, type WorkflowSpec } from '../contracts/workflow.ts';

export type Strategies = ReadonlyMap<string, CoordinationStrategy>;

export const strategiesByName = (strategies: readonly CoordinationStrategy[]): Strategies =>
  new Map(strategies.map((strategy) => [strategy.name, strategy]));

/** A definition with the strategy that runs it. */
export interface Definition {
  readonly spec: WorkflowSpec;
  readonly strategy: CoordinationStrategy;
  readonly options: unknown;
  /** Of the pattern, its revision and the definition: a run is bound to it. */
  readonly defHash: string;
}

/** Throws `workflow_invalid` (details.path), `workflow_cycle` (details.path, details.cycle), `unknown_pattern` (details.known). */
export function define(
  strategies: Strategies,
  body: CreateWorkflow,
): Definition & { readonly idempotencyKey?: string } {
  const parsed = createWorkflowSchema.safeParse(body);
  if (!parsed.success) throw invalid(parsed.error, []);
  const { idempotencyKey, ...spec } = parsed.data;
  const unstorable = findUnstorable(spec, '');
  if (unstorable !== null)
    throw refused(unstorable, 'holds a character that cannot be stored (U+0000 or half a surrogate pair)');
  const strategy = strategyOf(strategies, spec.pattern);
  const options = strategy.options.safeParse(spec.options);
  if (!options.success) throw invalid(options.error, ['options']);
  const problem = strategy.check(spec, options.data);
  if (problem) {
    throw new RuntimeError(problem.code, `${problem.path}: ${problem.message}`, {
      details: { path: problem.path, ...(problem.cycle ? { cycle: problem.cycle } : {}) },
    });
  }
  const defHash = defHashOf(strategy, spec);
  return { spec, strategy, options: options.data, defHash, ...(idempotencyKey ? { idempotencyKey } : {}) };
}

/** The definition of a stored run. Throws `definition_changed` when this node would run it otherwise than it began. */
export function definitionOf(
  strategies: Strategies,
  run: { readonly spec: WorkflowSpec; readonly defHash: string },
): Definition {
  const strategy = strategies.get(run.spec.pattern);
  if (!strategy)
    throw new RuntimeError('definition_changed', `this node does not know the pattern "${run.spec.pattern}"`);
  const options = strategy.options.safeParse(run.spec.options);
  const defHash = defHashOf(strategy, run.spec);
  if (!options.success || defHash !== run.defHash) {
    throw new RuntimeError(
      'definition_changed',
      `the pattern "${strategy.name}" no longer means what it did when the run began`,
    );
  }
  return { spec: run.spec, strategy, options: options.data, defHash };
}

/** Every capability the definition names, with the place where it does. */
export function capabilitiesOf({ strategy, spec, options }: Definition): { capability: string; path: string }[] {
  if (strategy.capabilities) return [...strategy.capabilities(spec, options)];
  return spec.tasks.flatMap(({ capability, compensate }, index) => [
    ...(capability === undefined ? [] : [{ capability, path: `tasks[${index}].capability` }]),
    ...(compensate ? [{ capability: compensate.capability, path: `tasks[${index}].compensate.capability` }] : []),
  ]);
}

/** SHA-256 of canonical JSON: the same wish has the same hash. */
export const hashOf = (value: unknown): string => createHash('sha256').update(canonicalJson(value)).digest('hex');

const defHashOf = (strategy: CoordinationStrategy, spec: WorkflowSpec): string =>
  hashOf({ pattern: strategy.name, revision: strategy.revision ?? 1, spec });

function strategyOf(strategies: Strategies, pattern: string): CoordinationStrategy {
  const strategy = strategies.get(pattern);
  if (strategy) return strategy;
  const known = [...strategies.keys()].sort();
  throw new RuntimeError('unknown_pattern', `no pattern "${pattern}"; known: ${known.join(', ')}`, {
    details: { pattern, known },
  });
}

function invalid(error: z.ZodError, prefix: readonly PropertyKey[]): RuntimeError {
  const issues = error.issues.map((issue) => ({ path: jsonPath([...prefix, ...issue.path]), message: issue.message }));
  const first = issues[0];
  return new RuntimeError('workflow_invalid', `${first?.path || 'the workflow'}: ${first?.message ?? 'not valid'}`, {
    details: { path: first?.path ?? '', issues },
  });
}

export const refused = (path: string, message: string, details: Record<string, unknown> = {}): RuntimeError =>
  new RuntimeError('workflow_invalid', `${path}: ${message}`, { details: { path, ...details } });

/** `['tasks', 2, 'dependsOn', 0]` as `tasks[2].dependsOn[0]`. */
function jsonPath(parts: readonly PropertyKey[]): string {
  return parts.reduce<string>((path, part) => {
    if (typeof part === 'number') return `${path}[${part}]`;
    return path === '' ? String(part) : `${path}.${String(part)}`;
  }, '');
}

const UNSTORABLE = /\0|\p{Surrogate}/u;

/** JSON path of a text or key that a jsonb column refuses, or null. */
function findUnstorable(value: unknown, path: string): string | null {
  if (typeof value === 'string') return UNSTORABLE.test(value) ? path : null;
  if (typeof value !== 'object' || value === null) return null;
  for (const [key, entry] of Object.entries(value)) {
    const at = Array.isArray(value) ? `${path}[${key}]` : path === '' ? key : `${path}.${key}`;
    const found = UNSTORABLE.test(key) ? path : findUnstorable(entry, at);
    if (found !== null) return found;
  }
  return null;
}
