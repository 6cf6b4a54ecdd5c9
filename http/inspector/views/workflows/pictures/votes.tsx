// A vote: the standings, and every ballot of every round, dissent and abstentions marked.

import type { AgentNames } from '../../../data/agent-names.ts';
import { brief, figure } from '../../../ui/figures.ts';
import { percent } from '../../../ui/format.ts';
import { Stat } from '../../../ui/panel.tsx';
import type { BallotLine, ConsensusPicture } from './model.ts';

export function Votes({ votes, names }: { readonly votes: ConsensusPicture; readonly names: AgentNames }) {
  const { rule, quorum, decision, agreement, standings, rounds, limit, referee } = votes;
  const best = Math.max(...standings.map(({ score }) => score), 0);
  const present = rounds.at(-1);
  const cast = present?.ballots.filter(({ state }) => state === 'cast').length ?? 0;
  return (
    <>
      <div class="stats">
        <Stat
          label="Decision"
          value={decision === null ? 'open' : brief(decision, 40)}
          note={referee ? `by the ${referee}` : rule.replaceAll('_', ' ')}
        />
        <Stat label="Agreement" value={percent(agreement)} />
        <Stat label="Ballots" value={`${cast} of ${present?.ballots.length ?? 0}`} note={`quorum ${quorum}`} />
        <Stat label="Rounds" value={`${rounds.length} of ${limit}`} />
      </div>
      {standings.length === 0 ? null : (
        <ul class="standings" aria-label="Standings">
          {standings.map(({ option, score }) => (
            <li key={option}>
              <span class="standing-option">{brief(option, 60)}</span>
              <span class="candidate-bar" aria-hidden="true">
                <i style={{ width: `${best > 0 ? (score / best) * 100 : 0}%` }} />
              </span>
              <span class="num">{figure(score)}</span>
            </li>
          ))}
        </ul>
      )}
      {rounds.toReversed().map(({ round, ballots }) => (
        <section key={round} class="round" aria-label={`Round ${round + 1}`}>
          <h3>Round {round + 1}</h3>
          <ul class="ballots">
            {ballots.map((ballot) => (
              <Ballot key={ballot.voter} ballot={ballot} names={names} />
            ))}
          </ul>
        </section>
      ))}
    </>
  );
}

function Ballot({ ballot: line, names }: { readonly ballot: BallotLine; readonly names: AgentNames }) {
  const { voter, agentId, state, ballot, weight, reason, dissents } = line;
  const tone = state === 'open' ? 'busy' : state === 'abstained' ? 'calm' : dissents ? 'warn' : 'good';
  return (
    <li class={`ballot tone-${tone}`}>
      <span class="ballot-voter">{agentId === null ? voter : names.of(agentId)}</span>
      <strong class="ballot-says">
        {state === 'cast' ? brief(ballot, 60) : state === 'open' ? 'has not voted' : 'abstained'}
      </strong>
      <span class="muted">
        {[
          dissents ? 'dissents' : '',
          weight !== null && weight !== 1 ? `weight ${figure(weight)}` : '',
          reason?.replaceAll('_', ' ') ?? '',
        ]
          .filter(Boolean)
          .join(', ')}
      </span>
    </li>
  );
}
