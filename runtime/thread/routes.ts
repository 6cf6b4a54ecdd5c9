// Where actors of other threads live, as far as this thread has heard; main is asked for the rest.

import type { DeadLetterReason } from '../contracts/envelope.ts';
import type { AgentId } from '../contracts/ids.ts';
import { RESOLVE } from '../transport/frames.ts';
import type { Link } from '../transport/link.ts';
import type { Route } from '../transport/lookups.ts';
import type { Peer } from '../transport/peer.ts';

const RESOLVE_TIMEOUT_MS = 60_000;
const MAX_ROUTES = 65_536;

export interface RoutesOwner {
  readonly thread: number;
  readonly peer: Peer;
  readonly main: Link;
}

export class Routes {
  readonly #owner: RoutesOwner;
  readonly #routes = new Map<AgentId, Route>();

  constructor(owner: RoutesOwner) {
    this.#owner = owner;
  }

  get(id: AgentId): Route | undefined {
    return this.#routes.get(id);
  }

  /** Asks main; {@link Peer.resolved} ends it. `stale` is the place the actor has left. */
  resolve(id: AgentId, stale: Route | undefined): void {
    if (stale) this.#routes.delete(id);
    this.#resolve(id, stale?.link.peer ?? -1, stale?.slot ?? 0);
  }

  /** Main says that an actor has left. A route with messages under way stays: they come back, and are sent on in order. */
  forget(id: AgentId, thread: number): void {
    const route = this.#routes.get(id);
    if (route && route.link.peer === thread && route.link.pending === 0) this.#routes.delete(id);
  }

  down(link: Link): void {
    for (const [id, route] of this.#routes) if (route.link === link) this.#routes.delete(id);
  }

  #resolve(id: AgentId, staleThread: number, staleSlot: number): void {
    const { peer, main, thread: here } = this.#owner;
    peer.asks
      .open({ to: 'main', type: 'resolve' }, RESOLVE_TIMEOUT_MS, undefined, (correlation) => {
        peer.asks.sentTo(correlation, 0);
        main.control([RESOLVE, correlation, id, staleThread, staleSlot]);
      })
      .then(
        (answer) => {
          if (typeof answer === 'string') {
            peer.resolved(id, answer as DeadLetterReason);
            return;
          }
          const { thread, slot } = answer as { readonly thread: number; readonly slot: number };
          const link = thread === here ? undefined : peer.links.get(thread);
          // The way to it is gone: its thread has died and main does not know yet. Its next place is told when it has one.
          if (!link && thread !== here) this.#resolve(id, thread, slot);
          else {
            if (link) this.#remember(id, { link, slot });
            peer.resolved(id);
          }
        },
        () => peer.resolved(id, 'target_lost'),
      );
  }

  #remember(id: AgentId, route: Route): void {
    if (this.#routes.size >= MAX_ROUTES) {
      for (const [old, { link }] of this.#routes) {
        if (link.pending > 0) continue;
        this.#routes.delete(old);
        break;
      }
    }
    this.#routes.set(id, route);
  }
}
