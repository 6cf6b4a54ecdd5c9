// The window of time that history looks at, the bars over it, and the moment the slider stands at. Pure.

import type { HistoryTimeline } from '../../../../runtime/contracts/history.ts';

export const WINDOWS = [
  { id: '5m', title: '5 minutes', ms: 300_000 },
  { id: '1h', title: 'hour', ms: 3_600_000 },
  { id: '6h', title: '6 hours', ms: 21_600_000 },
  { id: '1d', title: 'day', ms: 86_400_000 },
  { id: '7d', title: 'week', ms: 7 * 86_400_000 },
] as const;

export interface Bar {
  readonly fromMs: number;
  readonly total: number;
  /** Of these, events that tell of a failure. */
  readonly bad: number;
}

/** One bar per bucket, empty ones too. */
export function barsOf({ from, to, bucketMs, buckets }: HistoryTimeline): readonly Bar[] {
  const [fromMs, toMs] = [Date.parse(from), Date.parse(to)];
  const known = new Map(buckets.map(({ at, counts }) => [Math.round((Date.parse(at) - fromMs) / bucketMs), counts]));
  return Array.from({ length: Math.max(1, Math.ceil((toMs - fromMs) / bucketMs)) }, (_, bucket) => {
    const counts = Object.entries(known.get(bucket) ?? {});
    const sum = (of: readonly (readonly [string, number])[]): number => of.reduce((all, [, n]) => all + n, 0);
    return {
      fromMs: fromMs + bucket * bucketMs,
      total: sum(counts),
      bad: sum(counts.filter(([type]) => eventTone(type) === 'bad')),
    };
  });
}

const TONES: Readonly<Record<string, 'good' | 'busy' | 'warn' | 'bad'>> = {
  'task.completed': 'good',
  'task.retrying': 'warn',
  'task.waiting': 'warn',
  'task.failed': 'bad',
  'task.dead': 'bad',
  'task.timed_out': 'bad',
  'workflow.started': 'busy',
  'workflow.paused': 'warn',
  'workflow.input': 'warn',
  'node.draining': 'warn',
  'message.dead_letter': 'bad',
  'thread.down': 'bad',
  'thread.stuck': 'bad',
  'node.lost': 'bad',
  'supervision.restart': 'bad',
  'supervision.escalated': 'bad',
};

/** What an event means to whoever looks, by its type. */
export const eventTone = (type: string): 'good' | 'busy' | 'warn' | 'bad' | 'calm' => TONES[type] ?? 'calm';

/** Within the window; its end when nothing is given or what is given is no time. */
export function momentWithin(at: string | undefined, fromMs: number, toMs: number): number {
  const ms = at === undefined ? toMs : Date.parse(at);
  return Number.isNaN(ms) ? toMs : Math.min(toMs, Math.max(fromMs, ms));
}
