// Publish and subscribe inside a node: who listens to which topic. Volatile and at most once, to the subscribers of the moment.

import type { AgentId } from '../contracts/ids.ts';

/** Tells one subscriber; refusals are dead letters of the teller. */
export type TellSubscriber = (to: AgentId, type: string, body: unknown, from: AgentId | undefined) => void;

export class Topics {
  readonly #subscribers = new Map<string, Set<AgentId>>();
  readonly #topics = new Map<AgentId, Set<string>>();
  readonly #tell: TellSubscriber;

  constructor(tell: TellSubscriber) {
    this.#tell = tell;
  }

  subscribe(tenant: string, topic: string, id: AgentId): void {
    const key = keyOf(tenant, topic);
    entry(this.#subscribers, key).add(id);
    entry(this.#topics, id).add(key);
  }

  unsubscribe(tenant: string, topic: string, id: AgentId): void {
    this.#remove(keyOf(tenant, topic), id);
    this.#topics.get(id)?.delete(keyOf(tenant, topic));
  }

  /** Ends all subscriptions of an agent that is gone. */
  forget(id: AgentId): void {
    for (const key of this.#topics.get(id) ?? []) this.#remove(key, id);
    this.#topics.delete(id);
  }

  /** Answers to how many the message was sent. */
  publish(tenant: string, topic: string, type: string, body: unknown, from?: AgentId): number {
    const subscribers = this.#subscribers.get(keyOf(tenant, topic)) ?? [];
    let attempted = 0;
    for (const id of subscribers) {
      this.#tell(id, type, body, from);
      attempted += 1;
    }
    return attempted;
  }

  #remove(key: string, id: AgentId): void {
    const subscribers = this.#subscribers.get(key);
    subscribers?.delete(id);
    if (subscribers?.size === 0) this.#subscribers.delete(key);
  }
}

function keyOf(tenant: string, topic: string): string {
  return `${tenant}\n${topic}`;
}

function entry<Key, Value>(map: Map<Key, Set<Value>>, key: Key): Set<Value> {
  const found = map.get(key);
  if (found) return found;
  const made = new Set<Value>();
  map.set(key, made);
  return made;
}
