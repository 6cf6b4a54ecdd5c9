// What threads told, as viewers get it: redacted, with the place before session ids, with the way a message went.

import type { MessageRecord, XStateInspection } from '../../contracts/inspection.ts';
import type { RawMessage, RawXState } from '../../contracts/inspection-wire.ts';
import type { Redaction } from './redaction.ts';

/** The version of Stately's protocol that is spoken. */
const VERSION = '0.7.2';

export interface ActorPlace {
  readonly node: string;
  /** 0: the main thread. */
  readonly thread: number;
  readonly incarnation: number;
  /** Null: the supervision tree. */
  readonly agent: string | null;
  readonly atMs: number;
}

/** Session ids are unique over nodes, threads and incarnations: those of XState begin at `x:0` in every thread. */
export function presentActor(told: RawXState, at: ActorPlace, redaction: Redaction): XStateInspection {
  const { node, thread, agent } = at;
  const prefix = `${node}/${thread}/${at.incarnation}/${agent ?? 'tree'}`;
  const id = (local: string): string => `${prefix}/${local}`;
  const place = { createdAt: String(Math.round(at.atMs)), _version: VERSION, node, thread, agent };
  const { sessionId, rootId } = { sessionId: id(told.sessionId), rootId: id(told.rootId) };
  const event = (): { type: string } => redaction.value(told.event ?? { type: 'unknown' }) as { type: string };
  const snapshot = (): { status: string } =>
    redaction.value(told.snapshot ?? { status: 'active' }) as { status: string };
  switch (told.type) {
    case '@xstate.actor':
      return {
        type: told.type,
        sessionId,
        ...place,
        rootId,
        name: told.name ?? told.sessionId,
        snapshot: snapshot(),
        ...(told.parentId === undefined ? {} : { parentId: id(told.parentId) }),
        ...(told.definition === undefined ? {} : { definition: redaction.json(told.definition) }),
      };
    case '@xstate.event': {
      const source = told.sourceId === undefined ? {} : { sourceId: id(told.sourceId) };
      return { type: told.type, sessionId, ...place, rootId, event: event(), ...source };
    }
    case '@xstate.snapshot':
      return { type: told.type, sessionId, ...place, rootId, event: event(), snapshot: snapshot() };
  }
}

export interface MessageParts {
  readonly node: string;
  readonly thread: number;
  readonly redaction: Redaction;
  /** Whether an agent is of this node. */
  readonly livesHere: (agent: string) => boolean;
}

export function presentMessage(raw: RawMessage, { node, thread, redaction, livesHere }: MessageParts): MessageRecord {
  const { wanted: _wanted, tenant: _tenant, via, body, ...rest } = raw;
  const other = raw.seen === 'handled' ? raw.from : raw.to;
  const way = via !== 'main' ? via : other === null ? 'outside' : livesHere(other) ? 'message-port' : 'redis';
  return {
    ...rest,
    topic: raw.topic === null ? null : redaction.text(raw.topic),
    node,
    thread,
    via: way,
    ...(body === undefined ? {} : { body: redaction.value(body) }),
  };
}
