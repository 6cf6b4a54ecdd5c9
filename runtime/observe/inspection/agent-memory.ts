// What this node remembers of its agents for who looks at one: its last transitions and log lines. A ring each, of the agents that moved last.

import type { InspectedAgent } from '../../contracts/inspection.ts';
import type { Clock } from '../../contracts/ports.ts';
import type { LogLine } from '../../contracts/wire.ts';
import type { WatchedTransition } from './ports.ts';
import type { Redaction } from './redaction.ts';

const MAX_AGENTS = 2_000;
const TRANSITIONS = 50;
const LINES = 100;

type Transition = InspectedAgent['transitions'][number];
type Line = InspectedAgent['log'][number];

interface Remembered {
  readonly transitions: { readonly atMs: number; readonly transition: WatchedTransition }[];
  readonly lines: { readonly atMs: number; readonly line: LogLine }[];
}

/** Costs a push per change of state and nothing per task: flips between idle and running are left out. */
export class AgentMemory {
  readonly #clock: Clock;
  readonly #redaction: Redaction;
  readonly #agents = new Map<string, Remembered>();

  constructor(clock: Clock, redaction: Redaction) {
    this.#clock = clock;
    this.#redaction = redaction;
  }

  moved(transition: WatchedTransition): void {
    const { from, to } = transition;
    if ((from === 'idle' || from === 'running') && (to === 'idle' || to === 'running')) return;
    const { transitions } = this.#of(transition.id);
    transitions.push({ atMs: this.#clock.nowMs(), transition });
    if (transitions.length > TRANSITIONS) transitions.shift();
  }

  said(agent: string, line: LogLine): void {
    const { lines } = this.#of(agent);
    lines.push({ atMs: this.#clock.nowMs(), line });
    if (lines.length > LINES) lines.shift();
  }

  transitions(agent: string): Transition[] {
    return (this.#agents.get(agent)?.transitions ?? []).map(({ atMs, transition }) => {
      const { from, to, cause, incarnation, thread, error } = transition;
      const at = new Date(atMs).toISOString();
      const shown = { at, from, to, cause, incarnation, thread: thread ?? null };
      return error === undefined ? shown : { ...shown, error: this.#redaction.text(error.message) };
    });
  }

  lines(agent: string): Line[] {
    return (this.#agents.get(agent)?.lines ?? []).map(({ atMs, line: { level, message, fields } }) => ({
      at: new Date(atMs).toISOString(),
      level,
      message: this.#redaction.text(message),
      ...(fields === undefined ? {} : { fields: this.#redaction.record(fields) }),
    }));
  }

  #of(agent: string): Remembered {
    const known = this.#agents.get(agent);
    if (known) return known;
    if (this.#agents.size >= MAX_AGENTS) {
      const oldest = this.#agents.keys().next();
      if (oldest.done !== true) this.#agents.delete(oldest.value);
    }
    const made: Remembered = { transitions: [], lines: [] };
    this.#agents.set(agent, made);
    return made;
  }
}
