// A TCP proxy inside the test, put under a link of a real node: passes bytes on until it is told to fail in one of the ways networks do.
// It keeps one chunk a direction in hand, and a bounded number of those it delays: what does not pass stays in the sender's socket.

import { setMaxListeners } from 'node:events';
import { createServer, type Server, Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { assertNever } from '../../runtime/contracts/errors.ts';

export type Way = 'up' | 'down';
/** What becomes of one chunk: `hold` keeps it back until after the next one. */
export type Fate = 'pass' | 'drop' | 'duplicate' | 'hold';

/** What is wrong with the way. All but `half-open`, `truncate` and `reset` are as if nothing had been once they are healed. */
export type Trouble =
  /** Every chunk takes so much longer, in order; what follows it is on its way meanwhile. */
  | { readonly type: 'delay'; readonly ms: number; readonly way?: Way }
  | { readonly type: 'throttle'; readonly bytesPerS: number; readonly way?: Way }
  /** Nothing passes and nobody is told; new connections are taken and get nowhere. What was sent arrives after the healing, as TCP has it. */
  | { readonly type: 'black-hole'; readonly way?: Way }
  /** Connections are reset, new ones at once. `afterBytes`: each as soon as so much went that way. */
  | { readonly type: 'reset'; readonly afterBytes?: number; readonly way?: Way }
  /** The server's end of every connection is gone and the client is not told, as after a crash of its host: what it sends is lost. */
  | { readonly type: 'half-open' }
  /** Connections end in order, in the middle of what is said: after so many more bytes of that way. */
  | { readonly type: 'truncate'; readonly afterBytes: number; readonly way?: Way }
  /** As `plan` has it, a chunk at a time: garbles what is said. */
  | { readonly type: 'plan'; readonly plan: (way: Way) => Fate }
  /** Resets the connection on which the predicate holds of a chunk, before (`forward: false`) or after it was passed on. */
  | { readonly type: 'reset-on'; readonly holds: (chunk: Buffer, way: Way) => boolean; readonly forward: boolean };

export interface TcpProxy {
  readonly port: number;
  /** The URL with this proxy in place of its server. */
  url(real: string): string;
  /** Connections of clients that are open. */
  readonly connections: number;
  /** Bytes passed on, by way. */
  readonly passed: Readonly<Record<Way, number>>;
  /** How often the trouble has struck: connections reset or cut, chunks dropped, doubled or held. */
  readonly strikes: number;
  /** From now on, until it is healed or another trouble takes its place. */
  trouble(trouble: Trouble): void;
  heal(): void;
  close(): Promise<void>;
}

/** A proxy on a free port of this machine before the server of the URL. */
export async function startTcpProxy(target: { readonly host: string; readonly port: number }): Promise<TcpProxy> {
  const proxy = new TroubledWay(target);
  await proxy.listen();
  return proxy;
}

/** A proxy before the server of a URL, on its port or on the scheme's own. */
export function proxyOf(url: string): Promise<TcpProxy> {
  const { hostname, port, protocol } = new URL(url);
  return startTcpProxy({ host: hostname, port: Number(port) || (protocol.startsWith('redis') ? 6_379 : 5_432) });
}

const MOST_DELAYED_BYTES = 4 * 1024 * 1024;

const strikes = (trouble: Trouble, way: Way): boolean =>
  !('way' in trouble) || trouble.way === undefined || trouble.way === way;

interface Connection {
  readonly client: Socket;
  readonly server: Socket;
  /** Bytes of this way since the trouble began. */
  readonly since: Record<Way, number>;
  /** It lost its server without being told. */
  orphan: boolean;
}

/** States: healthy <-> in trouble; then closed. */
class TroubledWay implements TcpProxy {
  readonly passed: Record<Way, number> = { up: 0, down: 0 };
  strikes = 0;
  readonly #target: { readonly host: string; readonly port: number };
  readonly #server: Server;
  readonly #open = new Set<Connection>();
  #trouble: Trouble | undefined;
  /** Ends with the trouble of now: who waits for it looks again. */
  #over = new AbortController();
  #closed = false;

  constructor(target: { readonly host: string; readonly port: number }) {
    this.#target = target;
    // The end of one side is passed on, not answered.
    this.#server = createServer({ allowHalfOpen: true, pauseOnConnect: true }, (client) => void this.#accept(client));
  }

  listen(): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#server.once('error', reject);
      this.#server.listen(0, '127.0.0.1', resolve);
    });
  }

  get port(): number {
    const address = this.#server.address();
    return typeof address === 'object' && address !== null ? address.port : 0;
  }

  get connections(): number {
    return this.#open.size;
  }

  url(real: string): string {
    const url = new URL(real);
    url.hostname = '127.0.0.1';
    url.port = String(this.port);
    return url.href;
  }

  trouble(trouble: Trouble): void {
    this.#become(trouble);
    for (const connection of this.#open) {
      connection.since.up = 0;
      connection.since.down = 0;
      if (trouble.type === 'reset' && trouble.afterBytes === undefined) this.#reset(connection);
      if (trouble.type === 'half-open') this.#orphan(connection);
    }
  }

  heal(): void {
    this.#become(undefined);
  }

  async close(): Promise<void> {
    this.#closed = true;
    this.#become(undefined);
    for (const { client, server } of this.#open) {
      client.destroy();
      server.destroy();
    }
    await new Promise<void>((resolve) => void this.#server.close(() => resolve()));
  }

  #become(trouble: Trouble | undefined): void {
    const before = this.#over;
    this.#trouble = trouble;
    this.#over = new AbortController();
    // As many wait for it as there are connections.
    setMaxListeners(0, this.#over.signal);
    before.abort();
  }

  async #accept(client: Socket): Promise<void> {
    const trouble = this.#trouble;
    client.on('error', () => undefined);
    if (trouble?.type === 'reset' && trouble.afterBytes === undefined) {
      this.strikes += 1;
      client.resetAndDestroy();
      return;
    }
    const server = new Socket({ allowHalfOpen: true });
    const connection: Connection = { client, server, since: { up: 0, down: 0 }, orphan: false };
    server.on('error', () => void client.resetAndDestroy());
    client.once('close', () => {
      server.destroy();
      this.#open.delete(connection);
    });
    server.once('close', () => {
      if (!connection.orphan) client.destroy();
    });
    this.#open.add(connection);
    // A way that lets nothing through lets no connection through.
    while (this.#trouble?.type === 'black-hole' && !client.destroyed) await this.#change();
    if (client.destroyed || this.#closed) return;
    server.connect({ ...this.#target, noDelay: true });
    client.setNoDelay(true);
    void this.#pump(connection, 'up');
    void this.#pump(connection, 'down');
  }

  async #pump(connection: Connection, way: Way): Promise<void> {
    const [from, to] = way === 'up' ? [connection.client, connection.server] : [connection.server, connection.client];
    let held: Buffer | undefined;
    const line = { bytes: 0, end: Promise.resolve() };
    try {
      for await (const data of from) {
        const chunk = data as Buffer;
        const trouble = this.#trouble;
        if (trouble?.type === 'delay' && strikes(trouble, way)) {
          line.bytes += chunk.length;
          const due = this.#wait(trouble.ms);
          line.end = line.end
            .then(() => due)
            .then(() => this.#write(to, chunk, way))
            .then(() => {
              line.bytes -= chunk.length;
            });
          if (line.bytes > MOST_DELAYED_BYTES) await line.end;
          continue;
        }
        await line.end;
        held = await this.#pass(connection, way, chunk, to, held);
      }
      await line.end;
      await this.#stand(way);
      if (!connection.orphan) to.end();
    } catch {
      // The connection broke: its end has been passed on.
    }
  }

  /** Returns the chunk that is held back now. */
  async #pass(
    connection: Connection,
    way: Way,
    chunk: Buffer,
    to: Socket,
    held: Buffer | undefined,
  ): Promise<Buffer | undefined> {
    await this.#stand(way);
    if (connection.orphan) return undefined;
    const trouble = this.#trouble;
    if (trouble && strikes(trouble, way)) {
      switch (trouble.type) {
        case 'throttle':
          await this.#wait((chunk.length / trouble.bytesPerS) * 1_000);
          break;
        case 'truncate':
        case 'reset': {
          const left = (trouble.afterBytes ?? 0) - connection.since[way];
          if (chunk.length < left) break;
          await this.#write(to, chunk.subarray(0, Math.max(0, left)), way);
          if (trouble.type === 'reset') this.#reset(connection);
          else this.#cut(connection);
          return undefined;
        }
        case 'reset-on':
          if (!trouble.holds(chunk, way)) break;
          if (trouble.forward) await this.#write(to, chunk, way);
          // What was passed on is read there before the reset is: it must not overtake it.
          await sleep(5);
          this.#reset(connection);
          return undefined;
        case 'plan':
          return this.#planned(trouble.plan(way), chunk, to, way, held);
        // One that began while this chunk waited has nothing to do with it; the others are not about chunks.
        case 'delay':
        case 'black-hole':
        case 'half-open':
          break;
        default:
          assertNever(trouble);
      }
    }
    connection.since[way] += chunk.length;
    await this.#write(to, chunk, way);
    if (held) await this.#write(to, held, way);
    return undefined;
  }

  async #planned(fate: Fate, chunk: Buffer, to: Socket, way: Way, held: Buffer | undefined) {
    if (fate !== 'pass') this.strikes += 1;
    if (fate === 'hold') {
      if (held) await this.#write(to, held, way);
      return chunk;
    }
    if (fate !== 'drop') await this.#write(to, chunk, way);
    if (fate === 'duplicate') await this.#write(to, chunk, way);
    if (held) await this.#write(to, held, way);
    return undefined;
  }

  /** Waits as long as nothing passes this way. */
  async #stand(way: Way): Promise<void> {
    for (;;) {
      const trouble = this.#trouble;
      if (trouble?.type !== 'black-hole' || (trouble.way !== undefined && trouble.way !== way)) return;
      await this.#change();
    }
  }

  #change(): Promise<void> {
    const { signal } = this.#over;
    return new Promise((resolve) => {
      signal.addEventListener('abort', () => resolve(), { once: true });
    });
  }

  /** A delay ends with its trouble. */
  async #wait(ms: number): Promise<void> {
    await sleep(ms, undefined, { signal: this.#over.signal }).catch(() => undefined);
  }

  #write(to: Socket, chunk: Buffer, way: Way): Promise<void> | void {
    if (chunk.length === 0 || to.destroyed) return;
    this.passed[way] += chunk.length;
    if (to.write(chunk)) return;
    return new Promise((resolve) => {
      const go = (): void => {
        to.off('drain', go).off('close', go);
        resolve();
      };
      to.on('drain', go).on('close', go);
    });
  }

  #reset({ client, server }: Connection): void {
    this.strikes += 1;
    client.resetAndDestroy();
    server.destroy();
  }

  #cut({ client, server }: Connection): void {
    this.strikes += 1;
    client.end();
    server.end();
    // A peer that does not answer the end of its connection must not keep it.
    setTimeout(() => client.destroy(), 200).unref();
  }

  #orphan(connection: Connection): void {
    if (connection.orphan) return;
    this.strikes += 1;
    connection.orphan = true;
    connection.server.destroy();
  }
}
