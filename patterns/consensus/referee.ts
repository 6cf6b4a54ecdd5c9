// Who decides when the rule does not: an agent that sees the answers without names, or a person.

import type { CoordinationEvent } from '../../runtime/contracts/coordination.ts';
import { shuffled } from '../common/random.ts';
import { keyOf } from './ballot.ts';
import { candidatesOf, closeRound, endFailed, endJudged, label } from './end.ts';
import { ruleName } from './options.ts';
import { questionOf } from './round.ts';
import type { Tally } from './rules.ts';
import { ASK_STEP, type Draft, JUDGE_STEP } from './state.ts';

type Ended = Extract<CoordinationEvent, { type: 'step.completed' | 'step.failed' }>;

const MAX_OPTIONS_ASKED = 100;

export function breakTie(draft: Draft, tally: Extract<Tally, { type: 'tie' | 'short' }>): void {
  const { state, options, commands, decisions } = draft;
  const among = tally.type === 'tie' ? tally.first : tally.standings;
  const names = among.slice(0, 10).map(({ value }) => label(value));
  decisions.push({
    kind: 'vote',
    rule: `${ruleName(options.rule)}:${tally.type === 'tie' ? 'tie' : 'not_reached'}`,
    chosen: options.tie,
    candidates: candidatesOf(tally.standings),
  });
  if (options.tie === 'fail') {
    if (tally.type === 'tie') endFailed(draft, 'tie', `a tie between ${names.join(', ')}`, { tied: names });
    else endFailed(draft, 'rounds_used_up', `no option reached ${ruleName(options.rule)}`, { options: names });
    return;
  }
  closeRound(draft, 'not_needed');
  state.options = among.slice(0, MAX_OPTIONS_ASKED).map(({ value }) => value);
  if (options.tie === 'judge') {
    callJudge(draft, options.judge ?? '', state.options);
    return;
  }
  state.phase = 'asking';
  state.referee = 'person';
  const prompt = `The vote is undecided (${ruleName(options.rule)}): choose one of ${names.join(', ')}`.slice(
    0,
    10_000,
  );
  const context = { question: questionOf(draft.workflow) ?? null, standings: candidatesOf(tally.standings) };
  const request = { kind: 'input' as const, prompt, schema: { enum: state.options }, context };
  commands.push({ type: 'await', step: ASK_STEP, round: 0, request });
}

export function callJudge(draft: Draft, capability: string, among: readonly unknown[] | null): void {
  const { state, options, workflow, commands } = draft;
  const { items, next } = shuffled(
    state.ballots.flatMap((ballot) => (ballot.state === 'cast' ? [ballot.answer] : [])),
    state.generator,
  );
  state.generator = next;
  state.phase = 'judging';
  state.referee = 'judge';
  const input = { input: questionOf(workflow) ?? null, answers: items, ...(among ? { options: among } : {}) };
  commands.push({ type: 'schedule', step: JUDGE_STEP, round: 0, task: { capability, input } });
  commands.push({ type: 'timer', key: JUDGE_STEP, afterMs: options.voteByMs });
}

export function judged(draft: Draft, event: Ended): void {
  // it has ended: nothing to cancel
  draft.state.phase = 'voting';
  if (event.type === 'step.failed') {
    endFailed(draft, 'judge_failed', `the judge failed: ${event.error.message}`, { error: event.error.code });
    return;
  }
  const output = (typeof event.output === 'object' ? event.output : null) as Record<string, unknown> | null;
  const said = output?.decision ?? null;
  const { options } = draft.state;
  const decision = options.length === 0 ? said : options.find((one) => keyOf(one) === keyOf(said));
  if (decision === undefined || decision === null) {
    endFailed(draft, 'judge_failed', `the judge chose ${label(said)}, which is no option`, { decision: label(said) });
    return;
  }
  endJudged(draft, 'judge', decision, typeof output?.reason === 'string' ? output.reason : undefined);
}

export function answered(draft: Draft, event: Ended): void {
  draft.state.phase = 'voting';
  const said = event.type === 'step.completed' ? event.output : undefined;
  const decision = draft.state.options.find((one) => keyOf(one) === keyOf(said));
  if (event.type === 'step.completed' && decision !== undefined) {
    endJudged(draft, 'ask', decision, undefined);
    return;
  }
  const why = event.type === 'step.failed' ? event.error.message : `${label(said)} is no option`;
  endFailed(draft, 'tie', `nobody broke the tie: ${why}`, { tied: draft.state.options.map(label).slice(0, 10) });
}
