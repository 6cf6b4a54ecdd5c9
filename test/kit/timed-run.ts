// Runs a strategy on a clock of its own: every step takes the time it is said to take, and nothing else takes any. What a pattern
// costs beyond that is its own waiting.

import type {
  CoordinationCommand,
  CoordinationEvent,
  CoordinationStrategy,
} from '../../runtime/contracts/coordination.ts';
import type { CreateWorkflow } from '../../runtime/contracts/workflow.ts';
import { type End, type Outcome, prepare } from './coordination-simulator.ts';

type Schedule = Extract<CoordinationCommand, { type: 'schedule' }>;

export interface TimedOptions<State> {
  readonly durationMs: (step: string, round: number) => number;
  readonly outcome?: (command: Schedule) => Exclude<Outcome, 'never'>;
  /** Every verdict as it comes. */
  readonly seen?: (state: State, before: State | undefined, atMs: number) => void;
}

export interface TimedRun<State> {
  readonly end: End;
  readonly wallMs: number;
  readonly state: State;
  readonly started: readonly { readonly step: string; readonly round: number; readonly atMs: number }[];
}

export function timedRun<Options, State>(
  strategy: CoordinationStrategy<Options, State>,
  body: CreateWorkflow,
  { durationMs, outcome, seen }: TimedOptions<State>,
): TimedRun<State> {
  const { workflow, options } = prepare(strategy, body);
  /** By the time they come; of one time in the order they were asked for. */
  const coming = new Map<number, CoordinationEvent[]>();
  const times: number[] = [];
  const started: { step: string; round: number; atMs: number }[] = [];
  let end: End | undefined;
  let verdict = strategy.start(workflow, options, { type: 'started', atMs: 0, seed: workflow.seed });
  let nowMs = 0;
  seen?.(verdict.state, undefined, nowMs);
  const carryOut = (commands: readonly CoordinationCommand[]) => {
    for (const command of commands) {
      if (command.type === 'end') end = command;
      if (command.type !== 'schedule') continue;
      const { step, round } = command;
      started.push({ step, round, atMs: nowMs });
      const atMs = nowMs + durationMs(step, round);
      const about = { step, round, atMs, taskId: '', agentId: null, attempts: 1, startedAtMs: nowMs };
      const ends = outcome?.(command) ?? { output: { step, round } };
      const known = coming.get(atMs);
      const event: CoordinationEvent =
        'output' in ends
          ? { type: 'step.completed', output: ends.output, ...about }
          : {
              type: 'step.failed',
              state: 'failed',
              error: { code: 'handler_failed', message: ends.fails, retryable: false },
              ...about,
            };
      if (known) known.push(event);
      else {
        coming.set(atMs, [event]);
        times.push(atMs);
        times.sort((a, b) => b - a);
      }
    }
  };
  carryOut(verdict.commands);
  while (!end) {
    const next = times.pop();
    if (next === undefined) throw new Error('nothing is in flight and the run has not ended');
    nowMs = next;
    for (const event of coming.get(nowMs) ?? []) {
      const before = verdict.state;
      verdict = strategy.decide(workflow, options, before, event);
      seen?.(verdict.state, before, nowMs);
      carryOut(verdict.commands);
    }
    coming.delete(nowMs);
  }
  return { end, wallMs: nowMs, state: verdict.state, started };
}
