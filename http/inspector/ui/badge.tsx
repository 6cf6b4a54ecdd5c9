// A state as a word with a shape: readable without colours, and by a screen reader as the word alone.

import './badge.css';

/** What a state means to whoever looks: fine, at work, to be looked at, broken, at rest. */
export type Tone = 'good' | 'busy' | 'warn' | 'bad' | 'calm';

const TONES: Readonly<Record<string, Tone>> = {
  // agents
  created: 'calm',
  initializing: 'busy',
  idle: 'calm',
  running: 'busy',
  paused: 'warn',
  error: 'bad',
  terminated: 'calm',
  // threads and nodes
  busy: 'busy',
  stuck: 'bad',
  dead: 'bad',
  active: 'good',
  starting: 'busy',
  draining: 'warn',
  suspect: 'bad',
  stopped: 'calm',
  up: 'good',
  down: 'bad',
  off: 'calm',
  // tasks and workflows
  scheduled: 'calm',
  queued: 'calm',
  waiting: 'warn',
  completed: 'good',
  partial: 'warn',
  failed: 'bad',
  cancelled: 'calm',
  timed_out: 'bad',
  skipped: 'calm',
  ready: 'calm',
};

export function toneOf(state: string): Tone {
  return TONES[state] ?? 'calm';
}

interface BadgeProps {
  readonly state: string;
  /** Default: what the state means. */
  readonly tone?: Tone;
  /** Shown instead of the state's own name. */
  readonly label?: string;
  readonly title?: string | undefined;
}

export function StateBadge({ state, tone = toneOf(state), label, title }: BadgeProps) {
  return (
    <span class={`badge badge-${tone}`} title={title}>
      {label ?? state.replaceAll('_', ' ')}
    </span>
  );
}
