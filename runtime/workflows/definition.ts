// From a request body to a definition that can run: validated, its pattern found, its graph checked, its hash taken.

import { hash } from 'node:crypto';
import type { z } from 'zod';
import { canonicalJson } from '../contracts/canonical-json.ts';
import type { CoordinationStrategy, WorkflowProblem } from '../contracts/coordination.ts';
import { type ErrorCode, RuntimeError } from '../contracts/errors.ts';
import { placesOf } from '../contracts/validation.ts';
import { type CreateWorkflow, createWorkflowSchema, type WorkflowSpec } from '../contracts/workflow.ts';

/** The same limit as at run time. */
const MOST_NESTED = 10;

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
  const chosen = choose(strategies, spec);
  const { strategy } = chosen;
  const options = strategy.options.safeParse(chosen.spec.options);
  if (!options.success) throw invalid(options.error, ['options']);
  const wished = inOrder(chosen.spec, options.data);
  throwProblem(strategy.check(wished, options.data));
  checkNested(strategies, wished);
  const defHash = defHashOf(strategy, wished);
  return { strategy, spec: wished, options: options.data, defHash, ...(idempotencyKey ? { idempotencyKey } : {}) };
}

/** `options.synchronous`, where a pattern has it, is another place to say `synchronous`. */
function inOrder(spec: WorkflowSpec, options: unknown): WorkflowSpec {
  const { synchronous } = (typeof options === 'object' && options !== null ? options : {}) as Record<string, unknown>;
  return synchronous === true ? { ...spec, synchronous } : spec;
}

function throwProblem(problem: WorkflowProblem | null): void {
  if (!problem) return;
  throw new RuntimeError(problem.code, `${problem.path}: ${problem.message}`, {
    details: { path: problem.path, ...(problem.cycle ? { cycle: problem.cycle } : {}) },
  });
}

/** The strategy of the pattern, or the one it chooses in its place; how that was chosen is kept in the definition. */
function choose(strategies: Strategies, spec: WorkflowSpec): { strategy: CoordinationStrategy; spec: WorkflowSpec } {
  const strategy = strategyOf(strategies, spec.pattern);
  if (!strategy.select) return { strategy, spec };
  const selection = strategy.select(spec);
  if ('code' in selection) {
    throwProblem(selection);
    throw refused('pattern', 'no pattern could be chosen');
  }
  const { pattern, rule } = selection;
  return {
    strategy: strategyOf(strategies, pattern),
    spec: { ...spec, pattern, selected: { from: spec.pattern, rule } },
  };
}

/** A run inside is checked with the run it is part of; places in it are named from the outside. */
function checkNested(strategies: Strategies, spec: WorkflowSpec, depth = 1): void {
  spec.tasks.forEach(({ workflow }, index) => {
    if (!workflow) return;
    const at = `tasks[${index}].workflow`;
    if (depth > MOST_NESTED) throw refused(at, `runs may be nested ${MOST_NESTED} deep at most`);
    try {
      checkNested(strategies, define(strategies, { ...workflow, ...standIn(workflow) }).spec, depth + 1);
    } catch (error) {
      if (!(error instanceof RuntimeError)) throw error;
      // Places are named from the outside; one is enough.
      const { path, issues: _inside, ...details } = error.details ?? {};
      const place = typeof path === 'string' && path !== '' ? `${at}.${path}` : at;
      throw new RuntimeError(error.code as ErrorCode, error.message.replace(String(path ?? ''), place), {
        details: { ...details, path: place },
      });
    }
  });
}

/** The input of the step is the input of the run inside, known only when it starts. */
const standIn = (workflow: Readonly<Record<string, unknown>>): { readonly input?: unknown } =>
  'input' in workflow ? {} : { input: null };

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
  return spec.tasks.flatMap(({ capability, compensate, workflow }, index) => [
    ...(workflow ? nestedCapabilities(workflow, `tasks[${index}].workflow`) : []),
    ...(capability === undefined ? [] : [{ capability, path: `tasks[${index}].capability` }]),
    ...(compensate ? [{ capability: compensate.capability, path: `tasks[${index}].compensate.capability` }] : []),
  ]);
}

/** Of the graph of a run inside; what other patterns name in there is found when it starts. */
function nestedCapabilities(
  workflow: Readonly<Record<string, unknown>>,
  at: string,
): { capability: string; path: string }[] {
  const tasks = Array.isArray(workflow.tasks) ? (workflow.tasks as WorkflowSpec['tasks']) : [];
  return tasks.flatMap(({ capability, workflow: inner }, index) => [
    ...(capability === undefined ? [] : [{ capability, path: `${at}.tasks[${index}].capability` }]),
    ...(inner ? nestedCapabilities(inner, `${at}.tasks[${index}].workflow`) : []),
  ]);
}

/** SHA-256 of canonical JSON: the same wish has the same hash. */
export const hashOf = (value: unknown): string => hash('sha256', canonicalJson(value));

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
  const issues = placesOf(error).map(({ path, message }) => ({ path: jsonPath([...prefix, ...path]), message }));
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
