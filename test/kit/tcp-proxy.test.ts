import { once } from 'node:events';
import { connect, createServer, type Server, type Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { eventually } from './eventually.ts';
import { type Fate, proxyOf, startTcpProxy, type TcpProxy, type Trouble } from './tcp-proxy.ts';

let server: Server;
let proxy: TcpProxy;
/** What the server has heard, and its ends of the connections. */
let heard: string;
let ends: Socket[];
const clients: Client[] = [];

/** Collects what comes back, and how it ends. */
class Client {
  readonly socket: Socket;
  got = '';
  end: 'open' | 'ended' | 'broken' = 'open';
  constructor(port: number) {
    this.socket = connect(port, '127.0.0.1');
    this.socket.on('data', (data) => {
      this.got += data.toString();
    });
    this.socket.on('end', () => {
      if (this.end === 'open') this.end = 'ended';
    });
    this.socket.on('error', () => {
      this.end = 'broken';
    });
    clients.push(this);
  }
  say(text: string): void {
    this.socket.write(text);
  }
  async hears(text: string): Promise<void> {
    await eventually(() => this.got === text, `${text} to come back, not ${this.got}`, 5_000);
  }
}

beforeEach(async () => {
  heard = '';
  ends = [];
  server = createServer((socket) => {
    ends.push(socket);
    socket.on('error', () => undefined);
    socket.on('data', (data) => {
      heard += data.toString();
      socket.write(data);
    });
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  proxy = await startTcpProxy({ host: '127.0.0.1', port: typeof address === 'object' && address ? address.port : 0 });
});
afterEach(async () => {
  for (const { socket } of clients.splice(0)) socket.destroy();
  await proxy.close();
  for (const socket of ends) socket.destroy();
  await new Promise((resolve) => server.close(resolve));
});

/** A client that has had an answer. */
async function talking(): Promise<Client> {
  const client = new Client(proxy.port);
  client.say('hello.');
  await client.hears('hello.');
  return client;
}

describe('a way without trouble', () => {
  test('passes bytes and the end of a connection on', async () => {
    const client = await talking();
    const text = 'x'.repeat(1_000_000);
    client.say(text);
    await client.hears(`hello.${text}`);
    client.socket.end();
    await eventually(() => client.end === 'ended' && proxy.connections === 0);
    expect(proxy.passed).toEqual({ up: 1_000_006, down: 1_000_006 });
    expect(proxy.strikes).toBe(0);
  });

  test('stands in the URL for its server, with its user and its database', async () => {
    const other = await proxyOf(`redis://127.0.0.1:${proxy.port}`);
    expect(other.url('postgres://troupe@db.example:5432/one?x=1')).toBe(
      `postgres://troupe@127.0.0.1:${other.port}/one?x=1`,
    );
    await other.close();
  });
});

describe('trouble', () => {
  test('a delay keeps the order and lets others be on their way', async () => {
    const client = await talking();
    proxy.trouble({ type: 'delay', ms: 100, way: 'down' });
    const startedAt = performance.now();
    for (const text of ['a', 'b', 'c', 'd', 'e']) {
      client.say(text);
      await sleep(10);
    }
    await client.hears('hello.abcde');
    const tookMs = performance.now() - startedAt;
    expect(tookMs).toBeGreaterThan(90);
    expect(tookMs).toBeLessThan(450);
  });

  test('a throttled way takes its time, and no longer than it is throttled', async () => {
    const client = await talking();
    proxy.trouble({ type: 'throttle', bytesPerS: 1_000, way: 'up' });
    client.say('x'.repeat(60_000));
    await sleep(100);
    expect(client.got).toBe('hello.');
    proxy.heal();
    await client.hears(`hello.${'x'.repeat(60_000)}`);
  });

  test('a black hole swallows nothing: once it is healed all arrives, on old connections and on new ones', async () => {
    const client = await talking();
    proxy.trouble({ type: 'black-hole' });
    client.say('old.');
    const late = new Client(proxy.port);
    late.say('new.');
    await sleep(100);
    expect(heard).toBe('hello.');
    expect([client.end, late.end]).toEqual(['open', 'open']);
    proxy.heal();
    await client.hears('hello.old.');
    await late.hears('new.');
  });

  test('a black hole of one way lets the other one pass', async () => {
    const client = await talking();
    proxy.trouble({ type: 'black-hole', way: 'down' });
    client.say('deaf.');
    await eventually(() => heard === 'hello.deaf.');
    await sleep(50);
    expect(client.got).toBe('hello.');
  });

  test('what was half open stays dead after the healing, and new connections live', async () => {
    const client = await talking();
    proxy.trouble({ type: 'half-open' });
    client.say('into nothing.');
    await eventually(() => ends[0]?.destroyed);
    proxy.heal();
    client.say('still nothing.');
    await (await talking()).hears('hello.');
    expect(heard).toBe('hello.hello.');
    expect(client.end).toBe('open');
  });

  test('a reset breaks connections, and refuses new ones until it is healed', async () => {
    const client = await talking();
    proxy.trouble({ type: 'reset' });
    await eventually(() => client.end === 'broken');
    const late = new Client(proxy.port);
    late.say('in vain');
    await eventually(() => late.end === 'broken');
    expect(proxy.strikes).toBe(2);
    proxy.heal();
    await talking();
  });

  test.each<[name: string, trouble: Trouble, end: Client['end']]>([
    ['truncate ends it', { type: 'truncate', afterBytes: 4, way: 'up' }, 'ended'],
    ['reset breaks it', { type: 'reset', afterBytes: 4, way: 'up' }, 'broken'],
  ])('%s after so many more bytes', async (_name, trouble, end) => {
    const client = await talking();
    proxy.trouble(trouble);
    client.say('one');
    await client.hears('hello.one');
    client.say('two');
    await eventually(() => client.end === end, end, 5_000);
    expect(proxy.strikes).toBe(1);
    if (end === 'ended') expect(heard).toBe('hello.onet');
  });

  test.each([
    [true, 'hello.commit'],
    [false, 'hello.'],
  ])('a reset at a word comes after it was passed on: %s', async (forward, expected) => {
    const client = await talking();
    proxy.trouble({ type: 'reset-on', holds: (chunk, way) => way === 'up' && chunk.includes('commit'), forward });
    client.say('commit');
    await eventually(() => client.end === 'broken');
    await sleep(20);
    expect(heard).toBe(expected);
  });

  test.each<[fates: Fate[], expected: string]>([
    [['pass', 'drop', 'pass'], 'ac'],
    [['pass', 'duplicate', 'pass'], 'abbc'],
    [['hold', 'pass', 'pass'], 'bac'],
    [['hold', 'hold', 'pass'], 'acb'],
  ])('a plan of %j makes %s of abc', async (fates, expected) => {
    const client = await talking();
    const left = [...fates];
    proxy.trouble({ type: 'plan', plan: (way) => (way === 'up' ? (left.shift() ?? 'pass') : 'pass') });
    for (const text of ['a', 'b', 'c']) {
      const before = left.length;
      client.say(text);
      await eventually(() => left.length < before);
    }
    await eventually(() => heard === `hello.${expected}`, `hello.${expected}, not ${heard}`, 5_000);
  });
});
