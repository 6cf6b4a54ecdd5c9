// How a node starts, drains, comes back, stops and dies. The only writer of its phase.

import { hostname } from 'node:os';
import { RuntimeError, toWireError } from '../contracts/errors.ts';
import { settledWithin } from '../tasks/pause.ts';
import { addChildren } from './children.ts';
import type { NodeLife, NodeParts, Others } from './parts.ts';
import type { Phase } from './status.ts';

/** What was handled is acknowledged, if the database takes it within this time; else it is handled again. */
const ACKNOWLEDGE_MS = 5_000;

/** States: starting -> running <-> draining -> stopped. */
export class NodeLifecycle implements NodeLife {
  readonly #parts: Others;
  #phase: Phase = 'starting';
  #stopping: Promise<void> | undefined;

  constructor(parts: Others) {
    this.#parts = parts;
  }

  get phase(): Phase {
    return this.#phase;
  }

  /** Takes the lease, starts the tree, and takes up what a former incarnation left. */
  async start(): Promise<void> {
    const { tree, home, sleep, feed, node, options, lease } = this.#parts();
    await takeLease(this.#parts());
    addChildren(this.#parts());
    this.#phase = 'running';
    await tree.start();
    // On a busy machine threads may take longer to start than the lease lasts, and what keeps it starts after them.
    if (!lease.sure) await lease.renew();
    await sleep.recall();
    await home.adopt();
    feed.notice({ stream: node, type: 'node.started', tenant: 'default', data: { version: options.version } });
  }

  /** Takes work again after a drain. Throws `draining` when the node is stopped. */
  async initialize(): Promise<void> {
    if (this.#phase === 'stopped') throw new RuntimeError('draining', 'this node is stopped; start it again');
    if (this.#phase !== 'draining') return;
    const { store, tree, dispatcher, delivery } = this.#parts();
    await store.leases.setDraining(false);
    tree.resume();
    this.#phase = 'running';
    dispatcher.start();
    delivery.resume();
  }

  async drain(timeoutMs?: number): Promise<void> {
    if (this.#phase === 'draining' || this.#phase === 'stopped') return;
    const { store, node, ambient, tree, feed, dispatcher, options } = this.#parts();
    this.#phase = 'draining';
    tree.drain();
    feed.notice({ stream: node, type: 'node.draining', tenant: 'default', data: {} });
    await store.leases.setDraining(true).catch((error: unknown) => {
      ambient.log.warn('the database does not know that this node drains', { error: toWireError(error).message });
    });
    const handedBack = await dispatcher.drain(timeoutMs ?? options.config.drainMs);
    if (handedBack.length > 0) ambient.log.info('tasks were given back', { tasks: handedBack.length });
  }

  stop(timeoutMs?: number): Promise<void> {
    this.#stopping ??= this.#stopAll(timeoutMs);
    return this.#stopping;
  }

  async die(code: number, why: string): Promise<void> {
    const { ambient, options, tree } = this.#parts();
    ambient.log.error('this node ends', { code, why });
    this.#stopping ??= tree.stop({ mode: 'stop', timeoutMs: 0 }).then(() => this.#close());
    await this.#stopping;
    options.onExit?.(code, why);
  }

  async #stopAll(timeoutMs = this.#parts().options.config.drainMs): Promise<void> {
    const { resettle, store, ambient } = this.#parts();
    const until = ambient.clock.monotonicMs() + timeoutMs;
    await this.drain(timeoutMs);
    if (store.kind === 'postgres')
      await this.#evacuate(() => resettle.evacuate(Math.max(1_000, until - ambient.clock.monotonicMs())));
    await this.#parts().tree.stop({ mode: 'drain', timeoutMs });
    await this.#close();
  }

  /** Agents that cannot go now are given up with the lease, as if the node had none to give them to. */
  async #evacuate(work: () => Promise<void>): Promise<void> {
    await work().catch((error: unknown) => {
      this.#parts().ambient.log.warn('agents could not be handed over', { error: toWireError(error).message });
    });
  }

  #close(): Promise<void> {
    this.#phase = 'stopped';
    return closeParts(this.#parts());
  }
}

/** An embedded database has one owner: whatever else is written there as alive is dead. */
async function takeLease({ store, ambient, node, manifest, options, lease }: NodeParts): Promise<void> {
  const openedAtMs = ambient.clock.monotonicMs();
  await store.leases.open({
    id: node,
    host: hostname(),
    pid: process.pid,
    leaseMs: options.config.leaseMs,
    manifest: manifest.entries(),
    labels: options.config.labels,
    reclaimAll: store.kind === 'pglite',
  });
  lease.opened(openedAtMs);
  if (store.kind === 'pglite') await store.leases.sweep({ poisonAfter: options.config.poisonAfter });
}

/** What lies under the tree, in the order in which it is needed less. */
async function closeParts(parts: NodeParts): Promise<void> {
  const { store, bus, ambient, tasks, lease, metrics, history, receptionist, deadLetters, home, delivery, replies } =
    parts;
  await settledWithin(ambient.clock, delivery.settled(), ACKNOWLEDGE_MS);
  delivery.close();
  replies.close();
  tasks.close();
  lease.stop();
  metrics.close();
  receptionist.close();
  await deadLetters.flush();
  const quietly = (what: string) => (error: unknown) =>
    ambient.log.warn(`${what} failed at the stop`, { error: toWireError(error).message });
  await history.write().catch(quietly('the last metrics'));
  await home.flushObserved().catch(quietly('the roll-up of agents'));
  await store.leases.release().catch(quietly('giving back the lease'));
  await bus.close().catch(quietly('closing the bus'));
  await store.close().catch(quietly('closing the store'));
  await parts.preloaded.flush();
}
