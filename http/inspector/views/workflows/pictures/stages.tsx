// A pipeline: stages from left to right, each with the queue before it, its places, what waits for the next one and what has gone through.

import { count, plural } from '../../../ui/format.ts';
import { Meter, Stat } from '../../../ui/panel.tsx';
import type { PipelinePicture, StagePicture } from './model.ts';

export function Stages({ pipeline: { stages, items, open, deadLetters } }: { readonly pipeline: PipelinePicture }) {
  return (
    <>
      <div class="stats">
        <Stat label="Items" value={count(items.total)} note={open ? 'more may come' : 'the source is closed'} />
        <Stat label="Before the first stage" value={count(items.waiting)} />
        <Stat label="Inside" value={count(items.inside)} />
        <Stat
          label="Through"
          value={count(items.completed)}
          note={<Meter part={items.total === 0 ? 0 : items.completed / items.total} tone="good" label="through" />}
        />
        <Stat
          label="Dead"
          value={count(items.deadLetters)}
          {...(items.deadLetters > 0 ? { tone: 'bad' as const } : {})}
        />
      </div>
      <ol class="stages" aria-label="Stages">
        {stages.map((stage, at) => (
          <Stage key={stage.id} stage={stage} first={at === 0} waiting={items.waiting} />
        ))}
      </ol>
      {deadLetters.length === 0 ? null : (
        <>
          <h3 class="under">Items that died</h3>
          <ul class="dead-items">
            {deadLetters.map(({ item, stage, error }) => (
              <li key={item}>
                item {item} in {stage}: <span class="muted">{error.replaceAll('_', ' ')}</span>
              </li>
            ))}
          </ul>
        </>
      )}
    </>
  );
}

/** Squares drawn of a queue at most; longer ones are a bar. */
const SQUARES = 24;

function Stage({
  stage,
  first,
  waiting,
}: {
  readonly stage: StagePicture;
  readonly first: boolean;
  readonly waiting: number;
}) {
  const { id, capability, queued, buffer, running, concurrency, held, done, failed } = stage;
  const full = !first && queued >= buffer;
  const depth = first ? waiting : queued;
  return (
    <li class="stage">
      <div class={`queue ${full ? 'is-full' : ''}`}>
        <span class="queue-count">
          {count(depth)}
          {first ? '' : ` of ${count(buffer)}`}
        </span>
        {!first && buffer <= SQUARES ? (
          <span class="squares" aria-hidden="true">
            {Array.from({ length: buffer }, (_, at) => (
              <i key={at} class={at < queued ? 'is-taken' : ''} />
            ))}
          </span>
        ) : (
          <Meter
            part={first ? Math.min(1, depth / 24) : queued / buffer}
            tone={full ? 'warn' : 'busy'}
            label={`${depth} wait`}
          />
        )}
        <span class="muted">{first ? 'wait' : full ? 'queue full' : 'in queue'}</span>
      </div>
      <div class="stage-box">
        <strong>{id}</strong>
        <span class="muted">{capability}</span>
        <span class="squares" aria-hidden="true">
          {Array.from({ length: Math.min(SQUARES, concurrency) }, (_, at) => (
            <i key={at} class={at < running ? 'is-busy' : ''} />
          ))}
        </span>
        <span>
          {running} of {concurrency} at work
        </span>
        <span class="muted">
          {count(done)} done
          {held > 0 ? `, ${plural(held, 'item')} held back` : ''}
          {failed > 0 ? `, ${count(failed)} dead` : ''}
        </span>
      </div>
    </li>
  );
}
