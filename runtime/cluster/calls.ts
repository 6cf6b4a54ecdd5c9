// What routers of different nodes say to each other: casts and calls under a topic, carried by the links.

import { toWireError, type WireError, wireError } from '../contracts/errors.ts';
import type { NodeId } from '../contracts/ids.ts';
import type { Dispose, Logger } from '../contracts/ports.ts';
import { CALL, CAST, FAIL, type Parcel, REPLY } from './frames.ts';
import type { Cargo, Ending } from './node-link.ts';

export type Handler = (from: NodeId, body: unknown) => unknown;

/** Takes what arrives under a topic; one handler a topic. */
export class Handlers {
  readonly #log: Logger;
  readonly #byTopic = new Map<string, Handler>();
  /** What came for a topic without a handler. */
  unhandled = 0;

  constructor(log: Logger) {
    this.#log = log;
  }

  add(topic: string, handler: Handler): Dispose {
    this.#byTopic.set(topic, handler);
    return () => {
      if (this.#byTopic.get(topic) === handler) this.#byTopic.delete(topic);
    };
  }

  cast(from: NodeId, topic: string, body: unknown): void {
    const handler = this.#byTopic.get(topic);
    if (!handler) {
      this.unhandled += 1;
      return;
    }
    try {
      const result = handler(from, body);
      if (result instanceof Promise) result.catch((error: unknown) => this.#failed(topic, error));
    } catch (error) {
      this.#failed(topic, error);
    }
  }

  async call(from: NodeId, topic: string, body: unknown): Promise<{ readonly value: unknown } | WireError> {
    const handler = this.#byTopic.get(topic);
    if (!handler) {
      this.unhandled += 1;
      return wireError('no_handler', `this node takes nothing under ${topic}`);
    }
    try {
      return { value: await handler(from, body) };
    } catch (error) {
      return toWireError(error);
    }
  }

  #failed(topic: string, error: unknown): void {
    this.#log.error('what another node said could not be taken', { topic, error: toWireError(error) });
  }
}

/** Something that is sent and forgotten. */
export function castCargo(topic: string, body: unknown, dueAtMs: number): Cargo {
  return { dueAtMs, parcel: () => [CAST, topic, body], ended: () => undefined };
}

export interface CallParts {
  readonly topic: string;
  readonly body: unknown;
  readonly ask: number;
  readonly dueAtMs: number;
  readonly nowMs: () => number;
  readonly ended: (ending: Ending) => void;
}

export function callCargo({ topic, body, ask, dueAtMs, nowMs, ended }: CallParts): Cargo {
  return { dueAtMs, parcel: () => [CALL, topic, body, ask, Math.max(1, dueAtMs - nowMs())], ended };
}

/** The answer to a question of another node. One that cannot be carried is answered by an error instead. */
export function replyCargo(
  ask: number,
  answer: { readonly value: unknown } | WireError,
  dueAtMs: number,
  instead: (error: WireError) => void,
): Cargo {
  const parcel: Parcel = 'value' in answer ? [REPLY, ask, answer.value] : [FAIL, ask, answer];
  return {
    dueAtMs,
    parcel: () => parcel,
    ended: (ending) => {
      if (ending.type !== 'refused' || (ending.reason !== 'not_cloneable' && ending.reason !== 'payload_too_large'))
        return;
      if (parcel[0] === REPLY) instead(wireError(ending.reason, `the reply cannot be carried: ${ending.detail ?? ''}`));
    },
  };
}
