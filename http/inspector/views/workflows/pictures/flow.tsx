// Sequential: the steps in the order they run. Parallel: the join, what it needs and what it has.

import { setQuery } from '../../../router.ts';
import { StateBadge, toneOf } from '../../../ui/badge.tsx';
import { count, plural } from '../../../ui/format.ts';
import { Stat } from '../../../ui/panel.tsx';
import type { Step } from '../graph.ts';
import type { JoinPicture, OrderPicture } from './model.ts';

export function Order({ order: { order, total, at, from } }: { readonly order: OrderPicture }) {
  return (
    <>
      <p class="note">
        {at === null ? `${plural(total, 'step')}, one at a time` : `Step ${at + 1} of ${total} is at work`}
        {order.length < total ? `; ${from + 1} to ${from + order.length} are shown` : ''}.
      </p>
      <ol class="order" start={from + 1} aria-label="Steps in their order">
        {order.map(({ id, state }, index) => (
          <li key={id} class={`order-step tone-${toneOf(state)} ${at === from + index ? 'is-now' : ''}`}>
            <span class="order-place">{from + index + 1}</span>
            <button type="button" class="link" onClick={() => setQuery({ tab: undefined, step: id })}>
              {id}
            </button>
            <StateBadge state={state} />
          </li>
        ))}
      </ol>
    </>
  );
}

export function Join({ join, steps }: { readonly join: JoinPicture; readonly steps: readonly Step[] }) {
  const { candidates, completed, failed, excused, needed, inFlight, maxConcurrency, first } = join;
  const open = Math.max(0, candidates - completed - failed - excused);
  const parts = [
    ['completed', completed, 'good'],
    ['failed', failed, 'bad'],
    ['skipped', excused, 'calm'],
    ['open', open, 'busy'],
  ] as const;
  const running = steps.filter(({ state }) => state === 'running');
  return (
    <>
      <div class="stats">
        <Stat
          label={`Join: ${join.join}`}
          value={
            needed === null
              ? `${count(completed + failed)} of ${count(candidates)} ended`
              : `${count(completed)} of ${count(needed)} needed`
          }
          note={needed === null ? undefined : `${plural(candidates, 'candidate')}`}
        />
        <Stat label="At work" value={`${count(inFlight)} of ${count(maxConcurrency)}`} note="places used" />
        <Stat label="First to end" value={first ?? '–'} />
      </div>
      <div class="join-bar" role="img" aria-label={parts.map(([name, n]) => `${n} ${name}`).join(', ')}>
        {parts.map(([name, n, tone]) =>
          n === 0 ? null : (
            <span key={name} class={`join-part fill-${tone}`} style={{ flexGrow: n }}>
              {n} {name}
            </span>
          ),
        )}
        {needed === null || candidates === 0 ? null : (
          <span
            class="join-needed"
            style={{ left: `${Math.min(1, needed / candidates) * 100}%` }}
            title={`${needed} needed`}
          />
        )}
      </div>
      <h3 class="under">At work now</h3>
      {running.length === 0 ? (
        <p class="muted">nothing</p>
      ) : (
        <ul class="chips">
          {running.slice(0, 200).map(({ id }) => (
            <li key={id}>
              <button type="button" class="chip tone-busy" onClick={() => setQuery({ tab: undefined, step: id })}>
                {id}
              </button>
            </li>
          ))}
        </ul>
      )}
    </>
  );
}
