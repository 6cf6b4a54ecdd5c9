// Consensus: several agents answer the same question independently, a rule makes one decision of their ballots.

import type { CoordinationStrategy } from '../runtime/contracts/coordination.ts';
import type { WorkflowSpec } from '../runtime/contracts/workflow.ts';
import { checkConsensus } from './consensus/check.ts';
import { type ConsensusOptions, consensusOptionsSchema } from './consensus/options.ts';
import { decideConsensus, startConsensus } from './consensus/run.ts';
import type { ConsensusState } from './consensus/state.ts';
import { consensusPicture, consensusProgress, consensusSteps, judgeOf } from './consensus/view.ts';

function capabilities({ task }: WorkflowSpec, options: ConsensusOptions) {
  const judge = judgeOf(options);
  const judgePath = options.judge === undefined ? 'options.rule.judge' : 'options.judge';
  return [
    ...(task ? [{ capability: task.capability, path: 'task.capability' }] : []),
    ...(judge === null ? [] : [{ capability: judge, path: judgePath }]),
  ];
}

/**
 * Input: `task` (or `task.capability` and `question`), asked of `voters`: `{ n }` (default 5) distinct agents while there are enough,
 * else whoever offers the capability; or `{ agents }` by id or name. Steps are `vote-1` to `vote-n`; their round is the debate round.
 * Options and rules: see consensus-options.ts. By default majority, quorum more than half of the voters, no debate.
 *
 * Output: `{ decision, agreement, votes: [{ voter, agentId, round, ballot, answer?, abstained?, reason? }], dissent, rounds }`.
 * `decision` is the option as the first voter wrote it. `agreement`: share of the valid ballots of the last round that say so (by weight; of
 * a ranking: first places; of a median: those not left out). `dissent`: the other ballots with their voters. Answers are those of the
 * last round; earlier ones are with their tasks. An agent that judged or a person may add `reason`.
 *
 * Debate: while there is no decision and `rounds` are left, everybody is asked again with `peers` (at most 20 answers of the others, without
 * names, in seeded random order) and `previous` (its own) beside the input. Majority and weights then ask for more than half until the last
 * round, in which the most is enough; rankings, medians and judges go through all rounds unless all ballots are the same.
 *
 * | what happens | what follows |
 * | --- | --- |
 * | a voter crashes, times out, is late (`voteByMs`), or its ballot is invalid | it abstains in this round |
 * | fewer valid ballots than the quorum are in or possible | failed `no_quorum`, at once, with how many there were |
 * | several options are equally first in the last round | `tie`: failed `tie`, or a judge, or a person decides among them |
 * | no option has the share or unanimity in the last round | failed `rounds_used_up`, or a judge, or a person decides |
 * | the judge fails, is late, or chooses what is no option | failed `judge_failed` |
 * | the person does not answer | failed `tie` |
 * | one agent was named by id and by name | its second ballot is an abstention (`double_vote`) |
 *
 * Stops: `decided` as soon as no ballot still out could change the decision (they are cancelled and reported as `not_needed`), `no_quorum`,
 * `tie`, `rounds_used_up`, `judge_failed`, `deadline`, `cancelled`.
 * Guarantee: at most one vote per round and voter, one decision; the decision depends on the ballots, not on the order they came in,
 * except by which were still needed. It tolerates a minority that is wrong or silent; it is not Byzantine agreement.
 *
 * Self-consistency (arXiv 2203.11171), multi-agent debate (2305.14325), decision protocols (2502.19130), majority-then-stop (2604.02863).
 */
export const consensus: CoordinationStrategy<ConsensusOptions, ConsensusState> = {
  name: 'consensus',
  revision: 1,
  options: consensusOptionsSchema,
  check: checkConsensus,
  start: (workflow, options, { seed }) => startConsensus(workflow, options, seed),
  decide: decideConsensus,
  steps: consensusSteps,
  progress: consensusProgress,
  capabilities,
  picture: consensusPicture,
};
