// Who votes, and what they are asked: the seats at the start, the question of the first round, the debate of the next ones.

import type { Candidate } from '../../runtime/contracts/coordination.ts';
import type { WorkflowSpec } from '../../runtime/contracts/workflow.ts';
import { plainInput } from '../common/plain-input.ts';
import { shuffled } from '../common/random.ts';
import { taskOf } from '../common/step-start.ts';
import { candidatesOf } from './end.ts';
import { type ConsensusOptions, ruleName } from './options.ts';
import type { Standing } from './rules.ts';
import { type Draft, roundTimer, type Seat, voterCount, voteStep } from './state.ts';

/** Answers of others that a voter is shown in a debate round; of more, a random choice. */
const MAX_PEERS = 20;

export function weightsOf({ rule }: ConsensusOptions): Readonly<Record<string, number>> | null {
  return typeof rule === 'object' && 'weighted' in rule ? rule.weighted : null;
}

/** Distinct agents while there are enough, the least loaded first; the other seats are for whoever offers the capability. */
export function seatVoters(draft: Draft, found: readonly Candidate[]): void {
  const { workflow, options, state, decisions } = draft;
  const { voters } = workflow;
  const weights = weightsOf(options);
  if (weights) {
    const named = found.flatMap(({ agentId, name }): [string, number][] => {
      const weight = own(weights, agentId) ?? (name === null ? undefined : own(weights, name));
      return weight === undefined ? [] : [[agentId, weight]];
    });
    state.weights = Object.fromEntries(named);
  }
  const most = weights ? Math.max(1, ...Object.values(weights)) : 1;
  const weightOf = (agentId: string): number => {
    if (!weights) return 1;
    const id = found.find((one) => one.agentId === agentId || one.name === agentId)?.agentId;
    return own(weights, agentId) ?? (id === undefined ? undefined : own(state.weights, id)) ?? 1;
  };
  const agents =
    voters && 'agents' in voters
      ? voters.agents
      : [...found].sort((a, b) => a.load - b.load || (a.agentId < b.agentId ? -1 : 1)).map((one) => one.agentId);
  state.seats = Array.from({ length: voterCount(workflow) }, (_, at): Seat => {
    const agentId = agents[at];
    return agentId === undefined ? { agentId: null, weight: most } : { agentId, weight: weightOf(agentId) };
  });
  const pinned = Math.min(agents.length, state.seats.length);
  const candidates = state.seats.slice(0, 50).map((seat, at) => ({
    id: voteStep(at),
    note: seat.agentId ?? 'any agent',
    ...(weights ? { score: seat.weight } : {}),
  }));
  decisions.push({
    kind: 'placement',
    rule: voters && 'agents' in voters ? 'named_agents' : 'distinct_agents',
    chosen: `${pinned} of ${state.seats.length} seats`,
    candidates,
  });
  beginRound(draft);
}

export const own = (record: Readonly<Record<string, number>>, key: string): number | undefined =>
  Object.hasOwn(record, key) ? record[key] : undefined;

function beginRound(draft: Draft, previous?: readonly unknown[]): void {
  const { workflow, options, state, commands } = draft;
  const { task } = workflow;
  state.phase = 'voting';
  state.ballots = state.seats.map(() => ({ state: 'open' }));
  state.seats.forEach((seat, at) => {
    const input = previous ? debateInput(draft, previous, at) : questionOf(workflow);
    const reserve = task?.reserve === undefined ? {} : { reserve: task.reserve };
    const work = taskOf({ ...task, capability: task?.capability ?? '' }, input, seat.agentId ?? undefined);
    commands.push({ type: 'schedule', step: voteStep(at), round: state.round, task: work, ...reserve });
  });
  commands.push({ type: 'timer', key: roundTimer(state.round), afterMs: options.voteByMs });
}

/** What every voter is asked. */
export function questionOf(workflow: WorkflowSpec): unknown {
  const { task, question } = workflow;
  return task?.input === undefined && question !== undefined ? { question } : plainInput(workflow, task?.input);
}

/** The question, the answers of others without names in random order, and what this seat had said (multi-agent debate, arXiv 2305.14325). */
function debateInput(draft: Draft, previous: readonly unknown[], seat: number): unknown {
  const others = previous.filter((answer, at) => at !== seat && answer !== undefined);
  const { items, next } = shuffled(others, draft.state.generator);
  draft.state.generator = next;
  const question = questionOf(draft.workflow) as Record<string, unknown> | undefined;
  return { ...question, peers: items.slice(0, MAX_PEERS), previous: previous[seat] ?? null };
}

/** The next round: everybody is asked again, with what the others said. */
export function debate(draft: Draft, standings: readonly Standing[]): void {
  const { state, options, decisions } = draft;
  decisions.push({
    kind: 'round',
    rule: `${ruleName(options.rule)}_not_reached`,
    chosen: `debate round ${state.round + 1} of ${options.rounds}`,
    candidates: candidatesOf(standings),
  });
  const previous = state.ballots.map((ballot) => (ballot.state === 'cast' ? ballot.answer : undefined));
  state.past = [
    ...state.past,
    ...state.ballots.map((ballot, seat) => ({
      seat,
      round: state.round,
      agentId: ballot.state === 'open' ? null : ballot.agentId,
      ballot: ballot.state === 'cast' ? ballot.vote.value : null,
      ...(ballot.state === 'abstained' ? { reason: ballot.reason } : {}),
    })),
  ];
  state.round += 1;
  beginRound(draft, previous);
}
