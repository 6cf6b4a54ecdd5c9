// XState's inspection events in the wire shape of Stately's inspector, by structure and without XState: a module may bring a copy of its own.
// States are turned into plain data; contexts and events stay the live values they are: whoever carries them on bounds and copies them.

import type { RawChart, RawXState } from './inspection-wire.ts';

interface ActorLike {
  readonly sessionId: string;
  readonly id?: string;
  readonly _parent?: ActorLike;
  readonly logic?: unknown;
  getSnapshot?(): unknown;
}

interface MachineLike {
  readonly id: string;
  readonly config: object;
  readonly root: unknown;
}

interface SnapshotLike {
  readonly status?: string;
  readonly value?: unknown;
  readonly context?: unknown;
  readonly output?: unknown;
  readonly error?: unknown;
  readonly machine?: unknown;
  readonly _nodes?: readonly {
    readonly ownEvents?: readonly string[];
    readonly id?: string;
    readonly path?: readonly string[];
  }[];
}

/** What `inspect` of XState 5 calls back with. */
export interface XStateInspectionEvent {
  readonly type: string;
  readonly actorRef: unknown;
  readonly rootId?: string;
  readonly event?: unknown;
  readonly sourceRef?: unknown;
  readonly snapshot?: unknown;
}

/** Undefined for what the protocol does not have (actions, microsteps). */
export function xstateWire(told: XStateInspectionEvent): RawXState | undefined {
  const actor = told.actorRef as ActorLike;
  const at = { sessionId: actor.sessionId, rootId: told.rootId ?? actor.sessionId };
  switch (told.type) {
    case '@xstate.actor':
      return xstateActor(actor, at.rootId);
    case '@xstate.event': {
      const source = (told.sourceRef as ActorLike | undefined)?.sessionId;
      return { type: '@xstate.event', ...at, event: told.event, ...(source === undefined ? {} : { sourceId: source }) };
    }
    case '@xstate.snapshot':
      return { type: '@xstate.snapshot', ...at, event: told.event, snapshot: snapshotOf(told.snapshot) };
    default:
      return undefined;
  }
}

/** An actor as it stands now, for who begins to look while it lives. */
export function xstateActor(actorRef: unknown, rootId: string): RawXState {
  const actor = actorRef as ActorLike;
  const machine = machineOf(actor.logic);
  const parent = actor._parent?.sessionId;
  return {
    type: '@xstate.actor',
    sessionId: actor.sessionId,
    rootId,
    name: actor.id ?? actor.sessionId,
    snapshot: snapshotOf(readSnapshot(actor)),
    ...(parent === undefined ? {} : { parentId: parent }),
    ...(machine ? { definition: JSON.stringify(definitionOf(machine)) } : {}),
  };
}

/** XState tells of an actor while it is made: until then it has no snapshot, and reading it throws. */
function readSnapshot(actor: ActorLike): unknown {
  try {
    return actor.getSnapshot?.();
  } catch {
    return undefined;
  }
}

/** The machine of an actor with its current state; null where its logic is none. */
export function chartOf(logic: unknown, snapshot: unknown): RawChart | null {
  const machine = machineOf(logic);
  if (!machine) return null;
  const { status = 'active', value, context, _nodes = [] } = (snapshot ?? {}) as SnapshotLike;
  return {
    id: machine.id,
    definition: definitionOf(machine),
    value: value ?? null,
    active: activeIn(value),
    status,
    context,
    events: [...new Set(_nodes.flatMap(({ ownEvents = [] }) => ownEvents))],
  };
}

/** Dotted ids of the active states: `{ a: { b: 'c' } }` is `a`, `a.b`, `a.b.c`. */
export function activeIn(value: unknown, prefix = ''): string[] {
  if (typeof value === 'string') return [prefix + value];
  if (typeof value !== 'object' || value === null) return [];
  return Object.entries(value).flatMap(([key, below]) => [prefix + key, ...activeIn(below, `${prefix}${key}.`)]);
}

function machineOf(logic: unknown): MachineLike | undefined {
  const shaped = typeof logic === 'object' && logic !== null && 'config' in logic && 'root' in logic && 'id' in logic;
  return shaped ? (logic as MachineLike) : undefined;
}

const definitions = new WeakMap<object, Record<string, unknown>>();

/** Its configuration as JSON: functions and logic are names, the initial context is left out. */
function definitionOf({ id, config }: MachineLike): Record<string, unknown> {
  const known = definitions.get(config);
  if (known) return known;
  const { context: _context, ...rest } = config as Record<string, unknown>;
  const made = JSON.parse(JSON.stringify({ id, ...rest }, plain)) as Record<string, unknown>;
  definitions.set(config, made);
  return made;
}

function plain(_key: string, value: unknown): unknown {
  if (typeof value === 'function') {
    const { type, name } = value as { type?: unknown; name?: string };
    return typeof type === 'string' ? type : name || '(inline)';
  }
  if (typeof value === 'bigint' || typeof value === 'symbol') return String(value);
  // Logic that is invoked inline.
  if (typeof value === 'object' && value !== null && 'transition' in value && 'getInitialSnapshot' in value)
    return String((value as { id?: unknown }).id ?? '(logic)');
  return value;
}

function snapshotOf(given: unknown): Record<string, unknown> {
  const { status = 'active', value, context, output, error } = (given ?? {}) as SnapshotLike;
  return {
    status,
    ...(value === undefined ? {} : { value }),
    ...(context === undefined ? {} : { context }),
    ...(output === undefined ? {} : { output }),
    ...(error === undefined ? {} : { error }),
  };
}
