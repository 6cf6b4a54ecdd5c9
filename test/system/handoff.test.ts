// Handlers that give their task to another agent, over real threads and a real store.

import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Troupe } from '../../runtime/index.ts';
import { testTroupe } from '../kit/troupe.ts';

const passer = fileURLToPath(new URL('../kit/actors/passer.ts', import.meta.url));

describe('a handler that hands its task on', () => {
  let troupe: Troupe;
  beforeAll(async () => {
    troupe = await testTroupe({ threads: 2, agentRoots: [passer] });
    for (const name of ['ada', 'ben', 'cleo']) await troupe.agents.spawn('passer', { name });
    await troupe.agents.spawn('probe', { name: 'other' });
  });
  afterAll(() => troupe.stop());

  const start = (input: unknown) => troupe.tasks.start({ capability: 'passer.do', agentId: 'ada', input });

  test('ends its attempt; the addressees do the task one after the other, and only the last attempt counts', async () => {
    const handle = await start({ to: ['ben', 'cleo'] });
    expect(await handle.result()).toEqual({ by: 'cleo', attempt: 1 });
    const view = await troupe.tasks.get(handle.id);
    expect(view.attempts?.map(({ outcome }) => outcome)).toEqual(['handed_off', 'handed_off', 'completed']);
    const names = await Promise.all(
      (view.attempts ?? []).map(async ({ agentId }) => (await troupe.agents.get(agentId ?? '')).name),
    );
    expect(names).toEqual(['ada', 'ben', 'cleo']);
    const seen: unknown[] = [];
    for await (const event of troupe.events.stream(handle.id, { signal: AbortSignal.timeout(20_000) })) {
      if (event.type === 'task.handed_off') seen.push(event.data);
    }
    const [ada, ben, cleo] = (view.attempts ?? []).map(({ agentId }) => agentId);
    expect(seen).toMatchObject([
      { from: ada, to: { agentId: ben, capability: 'passer.do@1' }, reason: 'it knows more' },
      { from: ben, to: { agentId: cleo }, reason: 'it knows more' },
    ]);
  });

  test('reaches whoever offers a capability, with an input of its own', async () => {
    const handle = await start({ to: [{ capability: 'probe.run' }] });
    expect(await handle.result()).toMatchObject({ answer: 'done by another kind' });
  });

  test('has handed over even when it catches what is thrown', async () => {
    expect(await (await start({ to: ['ben'], swallow: true })).result()).toMatchObject({ by: 'ben' });
  });

  test.each([
    ['an agent that is none', { to: ['dora'] }, 'actor_not_found', 1],
    ['a capability that is none', { to: [{ capability: 'no.such' }] }, 'unknown_capability', 1],
    ['itself for ever', { to: ['ada'], forever: true }, 'handoff_limit', 11],
  ])('to %s fails the task for good', async (_name, input, code, attempts) => {
    const handle = await start(input);
    await expect(handle.result()).rejects.toMatchObject({ code });
    const view = await troupe.tasks.get(handle.id);
    expect(view).toMatchObject({ status: 'failed', error: { code } });
    expect(view.attempts).toHaveLength(attempts);
  });
});
