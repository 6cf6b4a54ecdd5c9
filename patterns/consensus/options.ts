// What may be chosen of a consensus: the rule that decides, and what counts as a ballot.

import { z } from 'zod';
import { capabilityRefSchema } from '../../runtime/contracts/agent.ts';

export const ruleSchema = z.union([
  z.enum(['majority', 'unanimity']),
  z.strictObject({ supermajority: z.number().gt(0.5).max(1) }),
  z.strictObject({ weighted: z.record(z.string().min(1).max(120), z.number().min(0).max(1e9)) }),
  z.strictObject({ ranked: z.enum(['borda', 'irv']) }),
  z.strictObject({ median: z.strictObject({ trim: z.number().min(0).max(0.9).default(0) }) }),
  z.strictObject({ judge: capabilityRefSchema }),
]);

/**
 * `majority`: more than half of the valid ballots; in the last round the most ballots are enough (self-consistency, arXiv 2203.11171).
 * `{ supermajority: q }`: a share of at least q of the valid ballots; 0.67 of three is all three.
 * `unanimity`: all valid ballots.
 * `{ weighted: { agent: weight } }`: like `majority` by weight; who is not named, by id or name, weighs 1.
 * `{ ranked }`: ballots are arrays of options, best first. `borda`: of m options the first gets m - 1 points, the next m - 2; options a
 * ballot leaves out share what is left. `irv`: the option with the fewest first places goes until one has more than half.
 * `{ median: { trim } }`: ballots are numbers; the share `trim` of them that lies farthest from their median is left out, the
 * decision is the median of the others (of two middle ones their mean).
 * `{ judge: capability }`: an agent decides over all answers, without names.
 */
export type ConsensusRule = z.infer<typeof ruleSchema>;

export const consensusOptionsSchema = z.strictObject({
  rule: ruleSchema.default('majority'),
  /** Path of the ballot in an answer, such as `verdict`. Default: the whole answer. */
  ballot: z.string().min(1).max(500).optional(),
  /** The options there are. A ballot for anything else is invalid. Default: whatever the ballots say. */
  choices: z.array(z.unknown()).min(2).max(100).optional(),
  /** Valid ballots a round needs. Default: more than half of the voters. */
  quorum: z.number().int().min(1).max(1_000).optional(),
  /** Debate rounds after the first, while there is no decision. */
  rounds: z.number().int().min(0).max(10).default(0),
  /** What happens when the rule gives no decision in the last round. */
  tie: z.enum(['fail', 'judge', 'ask']).default('fail'),
  /** Who decides under `tie: "judge"`. */
  judge: capabilityRefSchema.optional(),
  /** Ballots of a round that are not in after this time are abstentions. Default 10 minutes. */
  voteByMs: z.number().int().min(1).max(86_400_000).default(600_000),
});
export type ConsensusOptions = z.infer<typeof consensusOptionsSchema>;

/** As it is written in a decision: `majority`, `supermajority(0.67)`, `irv`. */
export function ruleName(rule: ConsensusRule): string {
  if (typeof rule === 'string') return rule;
  if ('supermajority' in rule) return `supermajority(${rule.supermajority})`;
  if ('weighted' in rule) return 'weighted';
  if ('ranked' in rule) return rule.ranked;
  if ('median' in rule) return `median(${rule.median.trim})`;
  return 'judge';
}
