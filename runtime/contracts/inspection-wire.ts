// What threads tell an inspector, before it is redacted: XState events and messages of what is in focus, and one cell in full.
// Everything is bounded by the thread that tells it (see transport/clip.ts).

import type { Protocol } from './envelope.ts';
import type { AgentId } from './ids.ts';

/** A statechart of a behaviour as it stands. `definition` is JSON: functions are names. */
export interface RawChart {
  readonly id: string;
  readonly definition: Record<string, unknown>;
  readonly value: unknown;
  readonly active: readonly string[];
  readonly status: string;
  readonly context?: unknown;
  readonly events: readonly string[];
}

/** One XState event of an actor. Session ids are those of XState in its thread; who carries it on puts the place before them. */
export interface RawXState {
  readonly type: '@xstate.actor' | '@xstate.event' | '@xstate.snapshot';
  readonly sessionId: string;
  readonly rootId: string;
  readonly parentId?: string;
  readonly name?: string;
  readonly definition?: string;
  readonly sourceId?: string;
  readonly event?: unknown;
  readonly snapshot?: unknown;
}

/** What a behaviour tells of itself. Live values: whoever takes them bounds and copies them at once. */
export interface BehaviorInspection {
  /** Of actors made from a machine of the user. */
  readonly machine: RawChart | null;
  /** What it holds: the state of an agent, the context of a machine. */
  readonly context: unknown;
}

/** Which messages one viewer wants. Entries of a list are alternatives; an empty list stands for all. */
export interface MessageFilter {
  /** The viewer's. */
  readonly id: string;
  readonly tenant: string;
  readonly agents: readonly string[];
  readonly types: readonly string[];
  readonly correlation?: string;
  readonly perSecond: number;
  readonly bodies: boolean;
}

/** What a thread is to tell, of all viewers together. */
export interface ThreadFocus {
  readonly actors: readonly AgentId[];
  readonly messages: readonly MessageFilter[];
}

export const NO_FOCUS: ThreadFocus = { actors: [], messages: [] };

/** A message as the thread saw it. `via: 'main'`: it came through the main thread, which knows whether from this node. */
export interface RawMessage {
  readonly seq: number;
  readonly atMs: number;
  readonly sentAtMs: number | null;
  readonly seen: 'handled' | 'sent';
  readonly tenant: string;
  readonly from: string | null;
  readonly to: string | null;
  readonly kind: 'tell' | 'ask' | 'reply' | 'error' | 'durable';
  readonly protocol: Protocol;
  readonly type: string;
  readonly messageId: string | null;
  readonly correlation: string | null;
  readonly trace: string | null;
  readonly topic: string | null;
  readonly channel: string | null;
  readonly via: 'same-thread' | 'message-port' | 'main';
  readonly bytes: number;
  readonly body?: unknown;
  /** Ids of the filters it fits. */
  readonly wanted: readonly string[];
}

export interface RawActorEvent {
  readonly agent: AgentId;
  readonly incarnation: number;
  readonly atMs: number;
  readonly told: RawXState;
}

/** What a thread gathered since it told last. */
export interface InspectionNotice {
  readonly type: 'inspection';
  readonly thread: number;
  readonly actors: readonly RawActorEvent[];
  readonly messages: readonly RawMessage[];
  readonly dropped: { readonly actors: number; readonly messages: Readonly<Record<string, number>> };
}

/** One cell as its thread knows it. */
export interface InspectedCell {
  readonly incarnation: number;
  readonly machine: RawChart | null;
  readonly context: unknown;
  readonly mailbox: {
    readonly waiting: number;
    readonly capacity: number;
    readonly overflow: string;
    readonly first: readonly {
      readonly type: string;
      readonly from: string | null;
      readonly protocol: Protocol;
      readonly messageId: string;
      readonly correlation: string | null;
    }[];
  };
}
