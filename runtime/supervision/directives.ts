// What to do about a failure, by its error code and by how the child wanted to be restarted. Pure.

import { assertNever, ERROR_CODES, type WireError } from '../contracts/errors.ts';
import type { Directive, RestartType } from '../contracts/supervision.ts';

/** Agents run user code, whose errors are expected; system children are ours, whose unknown errors are bugs. */
export type FailureScope = 'agent' | 'system';

/** Failures that the same start would meet again: a system child that reports one escalates at once. */
const INCURABLE: ReadonlySet<string> = new Set([
  'config_invalid',
  'store_locked',
  'store_foreign',
  'schema_version',
  'unsupported',
]);

/** Failures of an agent that no restart can mend. */
const INCURABLE_AGENT: ReadonlySet<string> = new Set(['unknown_agent_type', 'not_a_module']);

/**
 * The directive for an error code: the child's own table first, then the defaults. Unknown codes restart an agent and
 * escalate from a system child.
 */
export function directiveFor(
  code: string,
  own: Readonly<Record<string, Directive>> | undefined,
  scope: FailureScope,
): Directive {
  const chosen = own !== undefined && Object.hasOwn(own, code) ? own[code] : undefined;
  if (chosen !== undefined) return chosen;
  if (scope === 'agent') return INCURABLE_AGENT.has(code) ? 'stop' : 'restart';
  if (INCURABLE.has(code)) return 'escalate';
  return Object.hasOwn(ERROR_CODES, code) ? 'restart' : 'escalate';
}

/** How a child's life ended. Being stopped by its supervisor is not an exit. */
export type ChildExit = { readonly type: 'done' } | { readonly type: 'failed'; readonly error: WireError };

/** `restart` counts against the budget, `resume` does not; `end` leaves the child down. */
export type ExitVerdict = 'restart' | 'resume' | 'end' | 'escalate';

/**
 * What follows from an exit (OTP supervisor: restart types). A `permanent` child comes back whatever the exit was,
 * a `transient` one after a failure only, a `temporary` one never; a directive decides among failures before that.
 */
export function exitVerdict(
  exit: ChildExit,
  child: { readonly restart: RestartType; readonly directives?: Readonly<Record<string, Directive>> | undefined },
  scope: FailureScope,
): ExitVerdict {
  if (exit.type === 'done') return child.restart === 'permanent' ? 'restart' : 'end';
  const directive = directiveFor(exit.error.code, child.directives, scope);
  switch (directive) {
    case 'stop':
      return 'end';
    case 'escalate':
      return 'escalate';
    case 'resume':
    case 'restart':
      return child.restart === 'temporary' ? 'end' : directive;
    default:
      return assertNever(directive);
  }
}
