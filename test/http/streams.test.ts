// Server-sent events: numbering, resumption, heartbeat, and every way to end.

import { describe, expect, test } from 'vitest';
import { type Call, type TestApi, testApi } from '../kit/api-client.ts';

interface Reader {
  readonly response: Response;
  /** The next block of the stream, without its blank line; undefined at the end. */
  next(): Promise<string | undefined>;
  cancel(): Promise<void>;
}

async function open(api: TestApi, path: string, call: Call = {}): Promise<Reader> {
  const response = await api(`GET ${path}`, call);
  const reader = response.body?.pipeThrough(new TextDecoderStream()).getReader();
  let buffered = '';
  return {
    response,
    async next() {
      for (;;) {
        const end = buffered.indexOf('\n\n');
        if (end >= 0) {
          const block = buffered.slice(0, end);
          buffered = buffered.slice(end + 2);
          return block;
        }
        const chunk = await reader?.read();
        if (!chunk || chunk.done) return undefined;
        buffered += chunk.value;
      }
    },
    cancel: async () => reader?.cancel(),
  };
}

/** Waits for the microtasks and streams behind a write that happens on its own. */
async function blocks(reader: Reader, count: number): Promise<string[]> {
  const read: string[] = [];
  while (read.length < count) {
    const block = await reader.next();
    if (block === undefined) break;
    if (!block.startsWith(': ok')) read.push(block);
  }
  return read;
}

const field = (block: string | undefined, name: string): string | undefined =>
  block
    ?.split('\n')
    .find((line) => line.startsWith(`${name}: `))
    ?.slice(name.length + 2);

const turn = (): Promise<void> => new Promise((resolve) => setImmediate(() => resolve()));

async function newTask(api: TestApi): Promise<string> {
  const { body } = await api.json('POST /api/agents/tasks/submit', { body: { capability: 'probe.run' } });
  return String(body.id);
}

describe('the events of a task', () => {
  test('begin with the stored ones, go on live and end with the task', async () => {
    const api = testApi();
    const id = await newTask(api);
    const stream = await open(api, `/api/agents/tasks/${id}/events`);
    expect(stream.response.headers.get('content-type')).toContain('text/event-stream');
    expect(field((await blocks(stream, 1))[0], 'id')).toBe('1');
    api.runtime.emit(id, 'task.retrying');
    api.runtime.end(id, 'completed');
    const rest = await blocks(stream, 5);
    expect(rest.map((block) => [field(block, 'id'), field(block, 'event')])).toEqual([
      ['2', 'task.retrying'],
      ['3', 'task.completed'],
    ]);
  });

  test('carry live notices without an id', async () => {
    const api = testApi();
    const id = await newTask(api);
    const stream = await open(api, `/api/agents/tasks/${id}/events`);
    await blocks(stream, 1);
    api.runtime.notice(id, 'task.progress', { fraction: 0.5 });
    const [notice] = await blocks(stream, 1);
    expect([field(notice, 'event'), field(notice, 'id')]).toEqual(['task.progress', undefined]);
    await stream.cancel();
  });

  test.each([
    ['Last-Event-ID', { headers: { 'last-event-id': '2' } }, ''],
    ['after', {}, '?after=2'],
  ])('go on after the event named by %s', async (_name, call, query) => {
    const api = testApi();
    const id = await newTask(api);
    api.runtime.emit(id, 'task.retrying');
    api.runtime.end(id, 'completed');
    const stream = await open(api, `/api/agents/tasks/${id}/events${query}`, call);
    expect((await blocks(stream, 5)).map((block) => field(block, 'id'))).toEqual(['3']);
  });

  test('that a client has all of are 204, so that it does not come back', async () => {
    const api = testApi();
    const id = await newTask(api);
    api.runtime.end(id, 'completed');
    const response = await api(`GET /api/agents/tasks/${id}/events`, { headers: { 'last-event-id': '2' } });
    expect(response.status).toBe(204);
  });

  test('that are not kept any more give a reset and what is there', async () => {
    const api = testApi();
    const id = await newTask(api);
    api.runtime.emit(id, 'task.retrying');
    api.runtime.emit(id, 'task.retrying');
    api.runtime.forget(id, 2);
    const stream = await open(api, `/api/agents/tasks/${id}/events`, { headers: { 'last-event-id': '1' } });
    const read = await blocks(stream, 2);
    expect(read.map((block) => [field(block, 'event'), field(block, 'id')])).toEqual([
      ['reset', undefined],
      ['task.retrying', '3'],
    ]);
    await stream.cancel();
  });

  test.each(['9e99', '-1', 'abc', '1 ', '1\t2'].map((id) => [id]))('refuse Last-Event-ID %j', async (lastId) => {
    const api = testApi();
    const id = await newTask(api);
    const response = await api(`GET /api/agents/tasks/${id}/events`, { headers: { 'last-event-id': lastId } });
    // A header is trimmed on its way: '1 ' is '1', and that is an id.
    expect(response.status).toBe(lastId.trim() === '1' ? 200 : 400);
    await response.body?.cancel();
  });

  test('show no stack', async () => {
    const api = testApi();
    const id = await newTask(api);
    api.runtime.emit(id, 'task.failed', {
      error: { code: 'x', message: 'm', retryable: false, stack: 'at /secret/path' },
    });
    const stream = await open(api, `/api/agents/tasks/${id}/events`);
    const read = await blocks(stream, 5);
    expect(read.join()).toContain('"code":"x"');
    expect(read.join()).not.toContain('/secret/path');
  });

  test('cannot be forged by line breaks in data', async () => {
    const api = testApi();
    const id = await newTask(api);
    api.runtime.emit(id, 'task.retrying', { note: 'a\n\nevent: task.completed\ndata: {}\r\n\r\n' });
    const stream = await open(api, `/api/agents/tasks/${id}/events`);
    const read = await blocks(stream, 2);
    expect(read.map((block) => field(block, 'event'))).toEqual(['task.accepted', 'task.retrying']);
    await stream.cancel();
  });
});

describe('a stream', () => {
  test('has a heartbeat every 15 s of silence', async () => {
    const api = testApi();
    const stream = await open(api, `/api/agents/tasks/${await newTask(api)}/events`);
    await blocks(stream, 1);
    const beat = stream.next();
    await turn(); // the write of the event before has to return
    api.ambient.clock.advance(14_999);
    expect(await Promise.race([beat, turn()])).toBeUndefined();
    api.ambient.clock.advance(1);
    expect(await beat).toBe(': heartbeat');
    await stream.cancel();
  });

  test('ends when the token expires', async () => {
    const api = testApi();
    const id = await newTask(api);
    const token = await api.token({ ttlMs: 60_000 });
    const stream = await open(api, `/api/agents/tasks/${id}/events`, {
      role: null,
      headers: { authorization: `Bearer ${token}` },
    });
    await blocks(stream, 1);
    api.ambient.clock.advance(61_000);
    let block = await stream.next();
    while (block?.startsWith(':')) block = await stream.next();
    expect(block).toBeUndefined();
  });

  test('ends when the server closes', async () => {
    const closing = new AbortController();
    const api = testApi({ closing: closing.signal });
    const stream = await open(api, '/api/agents/events');
    expect(await stream.next()).toBe(': ok');
    closing.abort();
    expect(await stream.next()).toBeUndefined();
  });

  test('is one of five at most, and gives its place back', async () => {
    const api = testApi();
    const streams = await Promise.all(Array.from({ length: 5 }, () => open(api, '/api/agents/events')));
    const refused = await api.json('GET /api/agents/events');
    expect([refused.status, refused.body.code]).toEqual([429, 'too_many_streams']);
    expect((await open(api, '/api/agents/events', { subject: 'bob' })).response.status).toBe(200);
    await streams[0]?.next();
    await streams[0]?.cancel();
    const again = await open(api, '/api/agents/events');
    expect(again.response.status).toBe(200);
  });

  test('of everything shows only the own tenant, without ids', async () => {
    const api = testApi();
    const stream = await open(api, '/api/agents/events');
    await stream.next();
    await api('POST /api/agents/tasks/submit', { body: { capability: 'probe.run' }, tenant: 'theirs' });
    const id = await newTask(api);
    const [block] = await blocks(stream, 1);
    expect(JSON.parse(field(block, 'data') ?? '')).toMatchObject({ stream: id, tenant: 'default', seq: 1 });
    expect(field(block, 'id')).toBeUndefined();
    await stream.cancel();
  });
});
