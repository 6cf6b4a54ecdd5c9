// The decisions of a supervisor, as a pure function of its state and one event; supervisor.ts carries the effects out.
// Children start in order, each once the one before is up, and stop in reverse. OTP's supervisor.erl is the model;
// beyond it: back-off before a restart, and directives by error code.

import { assertNever, type WireError, wireError } from '../contracts/errors.ts';
import type {
  Backoff,
  Directive,
  RestartIntensity,
  RestartType,
  SupervisionStrategy,
} from '../contracts/supervision.ts';
import { type BackoffState, NO_BACKOFF, nextBackoff } from './backoff.ts';
import { type ChildExit, exitVerdict } from './directives.ts';
import { addRestart } from './restart-intensity.ts';
import { restartPlan } from './strategies.ts';

export interface SupervisorFlags {
  readonly id: string;
  readonly strategy: SupervisionStrategy;
  readonly intensity: RestartIntensity;
  readonly backoff: Backoff;
}

/** The part of a child's specification that decisions depend on. */
export interface ChildRule {
  readonly id: string;
  readonly restart: RestartType;
  readonly directives: Readonly<Record<string, Directive>>;
}

export type ChildStatus = 'down' | 'starting' | 'up' | 'stopping';

export interface ChildState extends ChildRule {
  readonly status: ChildStatus;
  /** Grows with every start; exits of an older one are ignored. */
  readonly incarnation: number;
  readonly restarts: number;
  /** To be started as soon as its turn comes. */
  readonly wanted: boolean;
  /** To be stopped as soon as its turn comes: a sibling's restart or a removal. */
  readonly doomed: boolean;
  /** To be forgotten once it is down. */
  readonly removed: boolean;
  /** The failed child whose back-off this one waits for. */
  readonly heldBy: string | undefined;
  readonly backoff: BackoffState;
}

/**
 * `new` before boot; `starting` until every child was up once; `running`; `stopping` on request and `failing` on escalation
 * (both stop the children in reverse); `stopped` and `failed` are final.
 */
export type SupervisorPhase = 'new' | 'starting' | 'running' | 'stopping' | 'failing' | 'stopped' | 'failed';

export interface SupervisorState {
  readonly flags: SupervisorFlags;
  readonly phase: SupervisorPhase;
  /** In start order. */
  readonly children: readonly ChildState[];
  readonly restartsAtMs: readonly number[];
  /** Why it is failing or failed. */
  readonly error: WireError | undefined;
}

export type SupervisorInput =
  | { readonly type: 'boot' }
  | { readonly type: 'child.up'; readonly id: string; readonly incarnation: number }
  | {
      readonly type: 'child.exited';
      readonly id: string;
      readonly incarnation: number;
      readonly exit: ChildExit;
      /** Monotonic. */
      readonly nowMs: number;
      /** Uniform in [0, 1): the jitter. */
      readonly random: number;
    }
  | { readonly type: 'backoff.over'; readonly id: string }
  | { readonly type: 'shutdown.timeout'; readonly id: string; readonly incarnation: number }
  | { readonly type: 'add'; readonly child: ChildRule }
  | { readonly type: 'remove'; readonly id: string }
  | { readonly type: 'shutdown' };

export type SupervisorEffect =
  | { readonly type: 'start'; readonly id: string; readonly incarnation: number }
  /** Ask the child to end; it answers with an exit, or its shutdown timeout does. */
  | { readonly type: 'stop'; readonly id: string; readonly incarnation: number }
  /** End it now; no answer is awaited. */
  | { readonly type: 'kill'; readonly id: string; readonly incarnation: number }
  | { readonly type: 'wait'; readonly id: string; readonly delayMs: number }
  | { readonly type: 'forget'; readonly id: string }
  /** Report: `child` will be restarted, with the siblings in `also`. */
  | {
      readonly type: 'restarting';
      readonly id: string;
      readonly also: readonly string[];
      readonly delayMs: number;
      readonly restarts: number;
      readonly charged: boolean;
      readonly error: WireError | undefined;
    }
  /** Report: this failure goes up to the parent. */
  | { readonly type: 'escalating'; readonly id: string; readonly error: WireError }
  /** Every child was up once. */
  | { readonly type: 'started' }
  | { readonly type: 'ended' }
  | { readonly type: 'failed'; readonly error: WireError };

export interface SupervisorStep {
  readonly state: SupervisorState;
  readonly effects: readonly SupervisorEffect[];
}

export function initialSupervisor(flags: SupervisorFlags, children: readonly ChildRule[]): SupervisorState {
  return { flags, phase: 'new', children: children.map(newChild), restartsAtMs: [], error: undefined };
}

/** One event in, the new state and the effects in their order out. Events that no longer matter change nothing. */
export function superviseStep(state: SupervisorState, input: SupervisorInput): SupervisorStep {
  const effects: SupervisorEffect[] = [];
  const reacted = react(state, input, effects);
  return { state: advance(reacted, effects), effects };
}

function newChild(rule: ChildRule): ChildState {
  return {
    ...rule,
    status: 'down',
    incarnation: 0,
    restarts: 0,
    wanted: true,
    doomed: false,
    removed: false,
    heldBy: undefined,
    backoff: NO_BACKOFF,
  };
}

function react(state: SupervisorState, input: SupervisorInput, effects: SupervisorEffect[]): SupervisorState {
  switch (input.type) {
    case 'boot':
      return state.phase === 'new' ? { ...state, phase: 'starting' } : state;
    case 'child.up':
      return edit(state, input.id, (child) =>
        child.incarnation === input.incarnation && child.status === 'starting' ? { ...child, status: 'up' } : child,
      );
    case 'child.exited':
      return exited(state, input, effects);
    case 'backoff.over':
      return {
        ...state,
        children: state.children.map((child) => (child.heldBy === input.id ? { ...child, heldBy: undefined } : child)),
      };
    case 'shutdown.timeout': {
      const child = find(state, input.id);
      if (child?.incarnation !== input.incarnation || child.status !== 'stopping') return state;
      effects.push({ type: 'kill', id: child.id, incarnation: child.incarnation });
      return down(state, child);
    }
    case 'add': {
      const refused = find(state, input.child.id) !== undefined || isEnding(state.phase);
      return refused ? state : { ...state, children: [...state.children, newChild(input.child)] };
    }
    case 'remove':
      return edit(state, input.id, (child) => ({ ...child, removed: true, doomed: true, wanted: false }));
    case 'shutdown':
      return isEnding(state.phase) ? state : { ...state, phase: 'stopping' };
    default:
      return assertNever(input);
  }
}

function exited(
  state: SupervisorState,
  input: Extract<SupervisorInput, { type: 'child.exited' }>,
  effects: SupervisorEffect[],
): SupervisorState {
  const child = find(state, input.id);
  if (child === undefined || child.incarnation !== input.incarnation || child.status === 'down') return state;
  if (isEnding(state.phase) || child.status === 'stopping' || child.doomed) return down(state, child);
  const failed = input.exit.type === 'failed' ? input.exit.error : undefined;
  // OTP: a child that cannot start at boot fails the start of its supervisor; there is nothing to go back to.
  if (state.phase === 'starting' && child.status === 'starting' && failed !== undefined) {
    return fail(down(state, child), child, failed, effects);
  }
  const verdict = exitVerdict(input.exit, child, 'system');
  switch (verdict) {
    case 'end':
      return edit(down(state, child), child.id, (ended) => ({ ...ended, wanted: false }));
    case 'escalate':
      return fail(down(state, child), child, failed ?? wireError('internal', `${child.id} ended`), effects);
    case 'resume':
      return restart(state, child, failed, false, input, effects);
    case 'restart': {
      const verdictOfWindow = addRestart(state.restartsAtMs, input.nowMs, state.flags.intensity);
      const counted = { ...state, restartsAtMs: verdictOfWindow.restartsAtMs };
      if (!verdictOfWindow.exceeded) return restart(counted, child, failed, true, input, effects);
      return fail(down(counted, child), child, intensityError(state.flags, child.id, failed), effects);
    }
    default:
      return assertNever(verdict);
  }
}

/** Marks the group of the failed child: those that run are doomed, all wait for the back-off and are wanted again. */
function restart(
  state: SupervisorState,
  failed: ChildState,
  error: WireError | undefined,
  charged: boolean,
  at: { readonly nowMs: number; readonly random: number },
  effects: SupervisorEffect[],
): SupervisorState {
  const plan = restartPlan(state.flags.strategy, state.children, failed.id);
  const { delayMs, state: backoff } = nextBackoff(failed.backoff, state.flags.backoff, at);
  const restarts = failed.restarts + 1;
  const also = plan.start.filter((id) => id !== failed.id);
  effects.push({ type: 'restarting', id: failed.id, also, delayMs, restarts, charged, error });
  if (delayMs > 0) effects.push({ type: 'wait', id: failed.id, delayMs });
  const heldBy = delayMs > 0 ? failed.id : undefined;
  const stop = new Set(plan.stop);
  const start = new Set(plan.start);
  const children = state.children.map((child): ChildState => {
    if (child.removed) return child;
    if (child.id === failed.id) return { ...child, status: 'down', wanted: true, heldBy, backoff, restarts };
    if (!start.has(child.id))
      return stop.has(child.id) ? { ...child, doomed: true, removed: true, wanted: false } : child;
    return { ...child, doomed: child.status !== 'down', wanted: true, heldBy };
  });
  return { ...state, children };
}

function fail(
  state: SupervisorState,
  child: ChildState,
  error: WireError,
  effects: SupervisorEffect[],
): SupervisorState {
  effects.push({ type: 'escalating', id: child.id, error });
  return { ...state, phase: 'failing', error };
}

function intensityError(flags: SupervisorFlags, child: string, cause: WireError | undefined): WireError {
  const { maxRestarts, withinMs } = flags.intensity;
  const why = cause === undefined ? '' : `: ${cause.message}`;
  return wireError(
    'restart_intensity',
    `${child} under ${flags.id} needed more than ${maxRestarts} restarts within ${withinMs} ms${why}`,
    { supervisor: flags.id, child, maxRestarts, withinMs, ...(cause === undefined ? {} : { cause }) },
  );
}

/** Takes the next steps that the state calls for: stops in reverse, then starts in order. */
function advance(state: SupervisorState, effects: SupervisorEffect[]): SupervisorState {
  const swept = sweep(state, effects);
  if (isEnding(swept.phase)) return stopNext(swept, effects, () => true);
  if (swept.phase === 'new') return swept;
  if (!startsInOrder(swept)) return startNext(stopDoomed(swept, effects), effects);
  if (swept.children.some((child) => child.doomed)) return stopNext(swept, effects, (child) => child.doomed);
  return startNext(swept, effects);
}

/** Only a running one-for-one supervisor handles children side by side: elsewhere a child may rely on those before it. */
function startsInOrder(state: SupervisorState): boolean {
  return state.phase === 'starting' || state.flags.strategy !== 'one-for-one';
}

function stopDoomed(state: SupervisorState, effects: SupervisorEffect[]): SupervisorState {
  const due = (child: ChildState) => child.doomed && (child.status === 'up' || child.status === 'starting');
  for (const child of state.children) {
    if (due(child)) effects.push({ type: 'stop', id: child.id, incarnation: child.incarnation });
  }
  return {
    ...state,
    children: state.children.map((child) => (due(child) ? { ...child, status: 'stopping' as const } : child)),
  };
}

/** Forgets what is down and not to come back: removed children, and temporary ones that ended. */
function sweep(state: SupervisorState, effects: SupervisorEffect[]): SupervisorState {
  const gone = (child: ChildState) =>
    child.status === 'down' && (child.removed || (child.restart === 'temporary' && !child.wanted));
  for (const child of state.children) if (gone(child)) effects.push({ type: 'forget', id: child.id });
  return state.children.some(gone) ? { ...state, children: state.children.filter((child) => !gone(child)) } : state;
}

/** Stops the last of those concerned and waits for it: one at a time, so that the order holds. */
function stopNext(
  state: SupervisorState,
  effects: SupervisorEffect[],
  concerned: (child: ChildState) => boolean,
): SupervisorState {
  if (state.children.some((child) => child.status === 'stopping')) return state;
  const last = state.children.findLast((child) => concerned(child) && child.status !== 'down');
  if (last !== undefined) {
    effects.push({ type: 'stop', id: last.id, incarnation: last.incarnation });
    return edit(state, last.id, (child) => ({ ...child, status: 'stopping' }));
  }
  return isEnding(state.phase) ? finish(state, effects) : state;
}

function finish(state: SupervisorState, effects: SupervisorEffect[]): SupervisorState {
  if (state.phase === 'stopping') {
    effects.push({ type: 'ended' });
    return { ...state, phase: 'stopped' };
  }
  if (state.phase === 'failing' && state.error !== undefined) {
    effects.push({ type: 'failed', error: state.error });
    return { ...state, phase: 'failed' };
  }
  return state;
}

function startNext(state: SupervisorState, effects: SupervisorEffect[]): SupervisorState {
  const inOrder = startsInOrder(state);
  let next = state;
  for (const child of state.children) {
    if (!child.wanted || child.status === 'up') continue;
    if (child.status === 'down' && child.heldBy === undefined && !child.removed) {
      const incarnation = child.incarnation + 1;
      effects.push({ type: 'start', id: child.id, incarnation });
      next = edit(next, child.id, (starting) => ({ ...starting, status: 'starting', incarnation }));
    }
    if (inOrder) return next;
  }
  const allUp = next.children.every((child) => !child.wanted || child.status === 'up');
  if (next.phase !== 'starting' || !allUp) return next;
  effects.push({ type: 'started' });
  return { ...next, phase: 'running' };
}

function down(state: SupervisorState, child: ChildState): SupervisorState {
  return edit(state, child.id, (current) => ({ ...current, status: 'down', doomed: false }));
}

function find(state: SupervisorState, id: string): ChildState | undefined {
  return state.children.find((child) => child.id === id);
}

function edit(state: SupervisorState, id: string, change: (child: ChildState) => ChildState): SupervisorState {
  return { ...state, children: state.children.map((child) => (child.id === id ? change(child) : child)) };
}

function isEnding(phase: SupervisorPhase): boolean {
  return phase === 'stopping' || phase === 'failing' || phase === 'stopped' || phase === 'failed';
}
