import { describe, expect, test } from 'vitest';
import { wireError } from '../../runtime/contracts/errors.ts';
import type { Directive, RestartType } from '../../runtime/contracts/supervision.ts';
import {
  type ChildExit,
  directiveFor,
  type ExitVerdict,
  exitVerdict,
  type FailureScope,
} from '../../runtime/supervision/directives.ts';

describe('directiveFor', () => {
  test.each<[string, string, Record<string, Directive> | undefined, FailureScope, Directive]>([
    ['an unknown code restarts an agent', 'weird', undefined, 'agent', 'restart'],
    ['an unknown code escalates from a system child', 'EADDRINUSE', undefined, 'system', 'escalate'],
    ['a known code restarts a system child', 'store_unavailable', undefined, 'system', 'restart'],
    ['an unclassified exception restarts a system child', 'internal', undefined, 'system', 'restart'],
    ['what a restart cannot mend escalates from a system child', 'config_invalid', undefined, 'system', 'escalate'],
    ['what a restart cannot mend stops an agent', 'unknown_agent_type', undefined, 'agent', 'stop'],
    ['the own table comes first', 'weird', { weird: 'stop' }, 'agent', 'stop'],
    ['other codes of the own table do not matter', 'weird', { other: 'stop' }, 'agent', 'restart'],
    ['a code that looks like a member of Object is unknown', 'constructor', {}, 'system', 'escalate'],
  ])('%s', (_name, code, own, scope, expected) => {
    expect(directiveFor(code, own, scope)).toBe(expected);
  });
});

describe('exitVerdict (OTP: restart types)', () => {
  const done: ChildExit = { type: 'done' };
  const failed: ChildExit = { type: 'failed', error: wireError('agent_crashed', 'boom') };
  test.each<[RestartType, string, ChildExit, Directive, ExitVerdict]>([
    ['permanent', 'a normal end', done, 'restart', 'restart'],
    ['permanent', 'a failure', failed, 'restart', 'restart'],
    ['permanent', 'a failure to be resumed', failed, 'resume', 'resume'],
    ['permanent', 'a failure that stops', failed, 'stop', 'end'],
    ['permanent', 'a failure that escalates', failed, 'escalate', 'escalate'],
    ['transient', 'a normal end', done, 'restart', 'end'],
    ['transient', 'a failure', failed, 'restart', 'restart'],
    ['transient', 'a failure to be resumed', failed, 'resume', 'resume'],
    ['transient', 'a failure that stops', failed, 'stop', 'end'],
    ['transient', 'a failure that escalates', failed, 'escalate', 'escalate'],
    ['temporary', 'a normal end', done, 'restart', 'end'],
    ['temporary', 'a failure', failed, 'restart', 'end'],
    ['temporary', 'a failure to be resumed', failed, 'resume', 'end'],
    ['temporary', 'a failure that stops', failed, 'stop', 'end'],
    ['temporary', 'a failure that escalates', failed, 'escalate', 'escalate'],
  ])('%s child, %s', (restart, _name, exit, directive, expected) => {
    expect(exitVerdict(exit, { restart, directives: { agent_crashed: directive } }, 'agent')).toBe(expected);
  });
});
