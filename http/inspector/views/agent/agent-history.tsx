// Figures of one agent over the time it was looked at: a sample with each answer.

import type { InspectedAgent } from '../../../../runtime/contracts/inspection.ts';
import { duration, short } from '../../ui/format.ts';
import { Series } from '../../ui/series.tsx';

interface Sample {
  /** Seconds since 1970. */
  readonly at: number;
  readonly mailbox: number;
  readonly done: number;
  readonly failed: number;
  readonly received: number;
  readonly p95Ms: number | null;
}

const KEPT = 600;
const CLOSEST_S = 0.9;

/** The samples with a further one; the same when the last is not a second old. */
export function keepSamples(before: readonly Sample[], data: InspectedAgent | undefined, atMs = 0): readonly Sample[] {
  if (!data) return before;
  const at = atMs / 1_000;
  if (at - (before.at(-1)?.at ?? 0) < CLOSEST_S) return before;
  const { execution, communication } = data.agent.metrics ?? {};
  const next: Sample = {
    at,
    mailbox: data.mailbox.waiting,
    done: execution?.completed ?? 0,
    failed: (execution?.failed ?? 0) + (execution?.timedOut ?? 0),
    received: communication?.received ?? 0,
    p95Ms: execution?.p95Ms ?? null,
  };
  return [...before.slice(1 - KEPT), next];
}

export function AgentHistory({ samples }: { readonly samples: readonly Sample[] }) {
  if (samples.length < 2)
    return <p class="muted">Gathering: a figure comes every two seconds while this page is open.</p>;
  const times = samples.map(({ at }) => at);
  const rate = (of: (sample: Sample) => number): (number | null)[] =>
    samples.map((sample, index) => {
      const before = samples[index - 1];
      return before ? Math.max(0, of(sample) - of(before)) / (sample.at - before.at) : null;
    });
  return (
    <div class="columns">
      <Series
        label="Tasks per second"
        times={times}
        format={short}
        lines={[
          { label: 'done', colour: '--accent', values: rate(({ done }) => done) },
          { label: 'failed', colour: '--bad', values: rate(({ failed }) => failed) },
        ]}
      />
      <Series
        label="Messages per second"
        times={times}
        format={short}
        lines={[{ label: 'received', colour: '--accent', values: rate(({ received }) => received) }]}
      />
      <Series
        label="Mailbox"
        times={times}
        format={short}
        lines={[{ label: 'waiting', colour: '--warn', values: samples.map(({ mailbox }) => mailbox) }]}
      />
      <Series
        label="Run time"
        times={times}
        format={duration}
        lines={[{ label: 'p95', colour: '--accent', values: samples.map(({ p95Ms }) => p95Ms) }]}
      />
    </div>
  );
}
