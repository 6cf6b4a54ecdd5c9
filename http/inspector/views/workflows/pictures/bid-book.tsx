// The bid book of an auction: every lot with everybody who was called, what they offered, how it was scored, who won and why the others did not.

import type { AgentNames } from '../../../data/agent-names.ts';
import { StateBadge, type Tone } from '../../../ui/badge.tsx';
import { figure } from '../../../ui/figures.ts';
import { duration, plural } from '../../../ui/format.ts';
import { Panel } from '../../../ui/panel.tsx';
import type { BidLine, LotPicture, readBidBook } from './model.ts';

interface BookProps {
  readonly book: ReturnType<typeof readBidBook>;
  readonly names: AgentNames;
}

export function BidBook({ book: { lots, more }, names }: BookProps) {
  return (
    <div class="lots">
      {lots.map((lot) => (
        <Lot key={lot.task} lot={lot} names={names} />
      ))}
      {more > 0 ? <p class="note">and {plural(more, 'more lot')}</p> : null}
    </div>
  );
}

const PHASES: Readonly<Record<string, Tone>> = {
  done: 'good',
  lost: 'bad',
  running: 'busy',
  calling: 'busy',
  absent: 'warn',
};
const OUTCOMES: Readonly<Record<string, Tone>> = { won: 'good', failed: 'bad', late: 'warn', invalid: 'bad' };

function Lot({ lot, names }: { readonly lot: LotPicture; readonly names: AgentNames }) {
  const { task, phase, round, price, secondPrice, bids, more } = lot;
  const scores = bids.flatMap(({ score }) => (score === null ? [] : [score]));
  const worst = Math.max(...scores, 0);
  return (
    <Panel
      title={task}
      flush
      aside={
        <span class="row">
          <StateBadge state={phase} tone={PHASES[phase] ?? 'calm'} />
          <span class="muted">
            round {round + 1}
            {price === null ? '' : `, price ${figure(price)}`}
            {secondPrice === null ? '' : `, next best ${figure(secondPrice)}`}
          </span>
        </span>
      }
    >
      {bids.length === 0 ? (
        <p class="lot-empty muted">Nobody has been called yet.</p>
      ) : (
        <div class="book-scroll">
          <table class="book">
            <caption class="sr">Bids for {task}</caption>
            <thead>
              <tr>
                <th scope="col">Bidder</th>
                <th scope="col">Outcome</th>
                <th scope="col" class="num">
                  Cost
                </th>
                <th scope="col" class="num">
                  Time
                </th>
                <th scope="col" class="num">
                  Sure
                </th>
                <th scope="col" class="num">
                  Score
                </th>
                <th scope="col" aria-label="Score as a bar" />
              </tr>
            </thead>
            <tbody>
              {bids.map((bid, at) => (
                <Bid key={at} bid={bid} worst={worst} names={names} rounds={round > 0} />
              ))}
            </tbody>
          </table>
        </div>
      )}
      {more > 0 ? <p class="note">and {plural(more, 'earlier call')}</p> : null}
    </Panel>
  );
}

interface BidProps {
  readonly bid: BidLine;
  readonly worst: number;
  readonly names: AgentNames;
  readonly rounds: boolean;
}

function Bid({ bid, worst, names, rounds }: BidProps) {
  const { agentId, name, cost, etaMs, confidence, score, outcome, reason, round } = bid;
  return (
    <tr class={`bid ${outcome === 'won' ? 'is-won' : ''}`}>
      <th scope="row">
        {name ?? names.of(agentId)}
        {rounds ? <span class="muted"> round {round + 1}</span> : null}
      </th>
      <td>
        <StateBadge state={outcome} tone={OUTCOMES[outcome] ?? 'calm'} title={reason ?? undefined} />
        {reason === null ? null : <span class="muted"> {reason.replaceAll('_', ' ')}</span>}
      </td>
      <td class="num">{figure(cost)}</td>
      <td class="num">{etaMs === null ? '–' : duration(etaMs)}</td>
      <td class="num">{confidence === null ? '–' : `${Math.round(confidence * 100)} %`}</td>
      <td class="num">{figure(score)}</td>
      <td class="bid-bar" aria-hidden="true">
        {score === null || worst <= 0 ? null : <i style={{ width: `${Math.max(1, (score / worst) * 100)}%` }} />}
      </td>
    </tr>
  );
}
