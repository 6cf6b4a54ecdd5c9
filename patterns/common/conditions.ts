// Conditions over earlier results (`when`, `loop.until`): which paths they read, and whether they hold. Pure.

import { sameJson } from '../../runtime/contracts/canonical-json.ts';
import type { Condition } from '../../runtime/contracts/workflow.ts';
import { type Looked, type Path, splitPath } from './references.ts';

type Comparison = Extract<Condition, { path: string }>;
const COMPARISONS = ['equals', 'notEquals', 'greaterThan', 'lessThan', 'exists', 'in'] as const;

export interface ConditionPath {
  /** JSON path below the condition, such as `.all[1].path`. */
  readonly at: string;
  readonly path: Path;
  /** What is wrong with it, if anything is. */
  readonly problem?: string;
}

/** Every path a condition reads, in reading order. */
export function conditionPaths(condition: Condition, at = ''): ConditionPath[] {
  if ('all' in condition) return condition.all.flatMap((part, index) => conditionPaths(part, `${at}.all[${index}]`));
  if ('any' in condition) return condition.any.flatMap((part, index) => conditionPaths(part, `${at}.any[${index}]`));
  if ('not' in condition) return conditionPaths(condition.not, `${at}.not`);
  const path = splitPath(condition.path);
  const problem = path.some((part) => part === '')
    ? `"${condition.path}" is not a path such as "step.field.0"`
    : COMPARISONS.every((name) => condition[name] === undefined)
      ? `compares nothing: give one of ${COMPARISONS.join(', ')}`
      : undefined;
  return [{ at: `${at}.path`, path, ...(problem ? { problem } : {}) }];
}

/** Whether it holds. An absent value differs from everything and is neither greater nor less. All comparisons of one path must hold. */
export function holds(condition: Condition, look: (path: Path) => Looked): boolean {
  if ('all' in condition) return condition.all.every((part) => holds(part, look));
  if ('any' in condition) return condition.any.some((part) => holds(part, look));
  if ('not' in condition) return !holds(condition.not, look);
  return compares(condition, look(splitPath(condition.path)));
}

function compares(comparison: Comparison, looked: Looked): boolean {
  const present = looked.type === 'value';
  const value = present ? looked.value : undefined;
  const { equals, notEquals, greaterThan, lessThan, exists, in: among } = comparison;
  if (equals !== undefined && !(present && sameJson(value, equals))) return false;
  if (notEquals !== undefined && present && sameJson(value, notEquals)) return false;
  if (greaterThan !== undefined && !(typeof value === 'number' && value > greaterThan)) return false;
  if (lessThan !== undefined && !(typeof value === 'number' && value < lessThan)) return false;
  if (exists !== undefined && (present && value !== null) !== exists) return false;
  return among === undefined || (present && among.some((one) => sameJson(value, one)));
}
