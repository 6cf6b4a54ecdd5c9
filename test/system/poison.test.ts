// A task that takes down what runs it: twice where others live, the third time alone, and then it is poison.

import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { RuntimeEvent, Troupe } from '../../runtime/index.ts';
import { eventually } from '../kit/eventually.ts';
import { testTroupe } from '../kit/troupe.ts';

const RETRY = { maxAttempts: 5, backoffMs: 0, jitter: 'none' } as const;

describe('a task that always ends its thread', () => {
  let troupe: Troupe;
  const log: RuntimeEvent[] = [];
  const reading = new AbortController();
  beforeAll(async () => {
    troupe = await testTroupe({ threads: 1 });
    void (async () => {
      for await (const event of troupe.events.firehose({ signal: reading.signal })) log.push(event);
    })().catch(() => undefined);
    for (let n = 0; n < 4; n++) await troupe.agents.spawn('probe', { name: `near-${n}` });
  });
  afterAll(async () => {
    reading.abort();
    await troupe.stop();
  });

  test.each([
    ['of no agent in particular', undefined],
    ['pinned to its agent', 'near-0'],
  ])('%s, has two deaths among others, a third one alone, and is dead as poison', async (_name, agentId) => {
    log.length = 0;
    const handle = await troupe.tasks.start({
      capability: 'probe.run',
      input: { exit: 'thread' },
      retry: RETRY,
      ...(agentId ? { agentId } : {}),
    });
    await expect(handle.result()).rejects.toMatchObject({ code: 'poison' });

    const agents = (await troupe.agents.list({})).items;
    const ids = new Set<string>(agents.map(({ id }) => id));
    const deaths = () => log.filter(({ type }) => type === 'thread.down');
    await eventually(() => deaths().length === 3);
    const taken = deaths().map(({ data }) => (data.cells as string[]).filter((id) => ids.has(id)).length);
    expect(taken).toEqual([4, 4, 0]);

    const view = await troupe.tasks.get(handle.id);
    expect(view).toMatchObject({
      status: 'dead',
      error: { code: 'poison', details: { crashes: 3, isolated: true } },
    });
    const threads = deaths().map(({ data }) => data.thread);
    expect(view.attempts?.map(({ outcome, thread }) => [outcome, thread])).toEqual(
      threads.map((thread) => ['lost', thread]),
    );
    if (agentId) expect(new Set(view.attempts?.map((attempt) => attempt.agentId)).size).toBe(1);

    await eventually(async () => (await troupe.system.status()).threads.length === 1);
    const after = await troupe.tasks.start({ capability: 'probe.run', input: { answer: 'well' } });
    expect(await after.result()).toMatchObject({ answer: 'well' });
  });
});
