// The parts together, as a user of the library meets them: agents, tasks and workflows over real threads and a real store.

import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Terminated } from '../../runtime/contracts/supervision.ts';
import type { Troupe } from '../../runtime/index.ts';
import { eventually } from '../kit/eventually.ts';
import { testTroupe } from '../kit/troupe.ts';

const states = (log: readonly { type: string; data: Record<string, unknown> }[]) =>
  log.filter(({ type }) => type === 'agent.transition').map(({ data }) => data.to);

/** Everything the feed says until `stop` is called. */
function record(troupe: Troupe) {
  const log: { type: string; stream: string; data: Record<string, unknown> }[] = [];
  const abort = new AbortController();
  const reading = (async () => {
    for await (const event of troupe.events.firehose({ signal: abort.signal })) log.push(event);
  })().catch(() => undefined);
  const stop = async (): Promise<void> => {
    abort.abort();
    await reading;
  };
  return { log, stop };
}

describe('a node', () => {
  let troupe: Troupe;
  beforeAll(async () => {
    troupe = await testTroupe();
  });
  afterAll(() => troupe.stop());

  test('refuses a function where an agent type is wanted, and says what to do', async () => {
    await expect(troupe.agents.spawn((() => undefined) as unknown as string)).rejects.toMatchObject({
      code: 'not_a_module',
      message: expect.stringContaining('defineAgent'),
    });
  });

  test('names the known types when it is asked for an unknown one', async () => {
    await expect(troupe.agents.spawn('prob')).rejects.toMatchObject({
      code: 'unknown_agent_type',
      details: { known: expect.arrayContaining(['probe', 'research', 'keeper']) },
    });
  });

  test('says at once that no node will ever have the labels an agent requires', async () => {
    await expect(troupe.agents.create({ type: 'keeper', requires: { gpu: 'true' } })).rejects.toMatchObject({
      code: 'no_node_fits',
      message: expect.stringContaining('gpu=true, and this node, the only one of its database, has no labels'),
    });
  });

  test('tells every state of an agent from creation to removal', async () => {
    const { log, stop } = record(troupe);
    const ref = await troupe.agents.spawn('probe');
    const task = await troupe.tasks.start({ capability: 'probe.run', agentId: ref.id, input: { sleepMs: 20 } });
    await task.result();
    await ref.pause();
    await ref.resume();
    await ref.stop();
    await stop();
    expect(states(log.filter(({ stream }) => stream === ref.id))).toEqual([
      'initializing',
      'idle',
      'running',
      'idle',
      'paused',
      'idle',
      'terminated',
    ]);
    await expect(ref.view()).rejects.toMatchObject({ code: 'actor_not_found' });
  });

  test('an uncaught throw ends the incarnation, not the agent, and its task is tried again', async () => {
    const { log, stop } = record(troupe);
    const ref = await troupe.agents.spawn('probe', { config: {} });
    const other = await troupe.agents.spawn('probe');
    const before = (await other.view()).metrics?.availability.restarts;
    const task = await troupe.tasks.start({
      capability: 'probe.run',
      agentId: ref.id,
      input: { exit: 'throw' },
      retry: { maxAttempts: 2, backoffMs: 0, jitter: 'none' },
    });
    await expect(task.result()).rejects.toMatchObject({
      code: expect.stringMatching(/attempts_exhausted|agent_crashed|poison/),
    });
    // One that finds its agent still restarting is given back, uncharged.
    const outcomes = (await task.view()).attempts?.map(({ outcome }) => outcome) ?? [];
    expect(outcomes.filter((outcome) => outcome !== 'released')).toEqual(['lost', 'lost']);
    await eventually(async () => (await ref.view()).state === 'idle');
    await stop();
    const seen = states(log.filter(({ stream }) => stream === ref.id));
    expect(seen.join(' ')).toContain('running error initializing idle');
    expect((await other.view()).metrics?.availability.restarts).toBe(before);
  });

  test('an agent beyond its budget ends terminated, tells its watchers once, and cannot be resumed', async () => {
    const ref = await troupe.agents.spawn('keeper');
    const ends: Terminated[] = [];
    await ref.watch((end) => ends.push(end));
    await eventually(async () => {
      if ((await ref.view()).state === 'terminated') return true;
      await ref.tell('crash');
      return false;
    });
    const view = await ref.view();
    expect(view).toMatchObject({ state: 'terminated', reason: 'restart_intensity' });
    expect(ends.map(({ reason }) => reason)).toEqual(['restart_intensity']);
    await expect(ref.resume()).rejects.toMatchObject({
      code: 'illegal_transition',
      details: { from: 'terminated', event: 'resume' },
    });
  });

  test('an endless loop is killed at its timeout; agents of other threads never notice', async () => {
    const spinner = await troupe.agents.spawn('probe', { isolation: 'dedicated' });
    const others = await Promise.all([1, 2, 3].map(() => troupe.agents.spawn('probe')));
    const before = await Promise.all(others.map(async (ref) => (await ref.view()).metrics?.availability.restarts));
    const task = await troupe.tasks.start({
      capability: 'probe.run',
      agentId: spinner.id,
      input: { exit: 'spin' },
      timeoutMs: 300,
      retry: { maxAttempts: 1 },
    });
    await expect(task.result()).rejects.toMatchObject({
      code: expect.stringMatching(/task_timeout|thread_stuck|poison|attempts_exhausted/),
    });
    await eventually(async () => (await spinner.view()).state === 'idle');
    expect(await Promise.all(others.map(async (ref) => (await ref.view()).metrics?.availability.restarts))).toEqual(
      before,
    );
  });

  test('cancel tells what it took: before the start, and cooperatively while it runs', async () => {
    const ref = await troupe.agents.spawn('probe');
    const running = await troupe.tasks.start({ capability: 'probe.run', agentId: ref.id, input: { sleepMs: 60_000 } });
    await eventually(async () => (await running.view()).status === 'running');
    const waiting = await troupe.tasks.start({ capability: 'probe.run', agentId: ref.id, input: {} });
    expect(await waiting.cancel()).toMatchObject({ outcome: 'before_start', collateral: [] });
    expect(await running.cancel()).toMatchObject({ outcome: 'cooperative', collateral: [] });
    expect((await running.view()).status).toBe('cancelled');
    expect(await running.cancel()).toMatchObject({ outcome: 'cooperative' });
  });

  test('a task waits for an agent that can do it, says so, and ends at its queue timeout', async () => {
    const task = await troupe.tasks.start({ capability: 'text.generate', input: { prompt: 'x' }, queueTimeoutMs: 400 });
    expect(await task.view()).toMatchObject({ status: 'queued', waitingFor: 'no_agent_offers_capability' });
    await expect(task.result()).rejects.toMatchObject({ code: 'queue_timeout' });
    expect((await task.view()).status).toBe('timed_out');
  });

  test('adding and removing a capability at run time changes where tasks go', async () => {
    const ref = await troupe.agents.spawn('keeper', { name: 'changing' });
    await troupe.agents.update(ref.id, { capabilities: [] });
    const task = await troupe.tasks.start({ capability: 'keeper.add', input: { amount: 2 } });
    await eventually(async () => (await task.view()).waitingFor !== undefined);
    await troupe.agents.update(ref.id, { capabilities: ['keeper.add'] });
    expect(await task.result()).toEqual({ total: 2 });
    await ref.stop();
  });

  test('gives the output of a workflow, as the store has it, or the reason why there is none', async () => {
    const probe = await troupe.agents.spawn('probe');
    const step = (input: object) => ({
      tasks: [{ id: 'one', capability: 'probe.run', input, retry: { maxAttempts: 1 } }],
    });
    const flow = await troupe.workflows.run(step({ answer: { later: 1, b: 2 } }));
    const output = await flow.output();
    expect(JSON.stringify(output)).toBe(JSON.stringify((await flow.result()).output));
    expect(await flow.output()).toEqual(output);
    const broken = await troupe.workflows.run(step({ failTimes: 9 }));
    const { status } = await broken.result();
    expect(status).toBe('failed');
    await expect(broken.output()).rejects.toMatchObject({ message: expect.stringContaining('as it was told') });
    const slow = await troupe.workflows.run(step({ sleepMs: 60_000 }));
    const cancelled = { code: 'workflow_failed', details: { status: 'cancelled' } };
    const refused = expect(slow.output()).rejects.toMatchObject(cancelled);
    const outcome = await troupe.workflows.outcome(slow.id, { timeoutMs: 5 });
    expect(outcome).toMatchObject({ status: 'running', output: null, error: null });
    await slow.cancel();
    await refused;
    await probe.stop();
  });

  test('messages to nobody, to a full mailbox and late replies are told and kept', async () => {
    const ref = await troupe.agents.spawn('probe');
    await expect(ref.ask('slow', { ms: 400 }, { timeoutMs: 50 })).rejects.toMatchObject({ code: 'ask_timeout' });
    await ref.stop();
    await expect(troupe.agents.tell(ref.id, 'ping', {})).rejects.toMatchObject({ code: 'actor_not_found' });
    const reasons = await eventually(async () => {
      const { items } = await troupe.system.deadLetters({ limit: 100 });
      const seen = items.map(({ reason }) => reason);
      return seen.includes('late_reply') && seen;
    });
    expect(reasons).toContain('late_reply');
  });

  test('a drained node refuses new work, serves reads, and takes work again when it is initialised', async () => {
    await troupe.system.drain({ timeoutMs: 1_000 });
    await expect(troupe.tasks.submit({ capability: 'probe.run' })).rejects.toMatchObject({ code: 'draining' });
    expect((await troupe.system.status()).status).toBe('draining');
    expect(troupe.system.ready().ready).toBe(false);
    await troupe.system.initialize();
    await troupe.agents.spawn('probe');
    const task = await troupe.tasks.start({ capability: 'probe.run', input: { answer: 'back' } });
    expect(await task.result()).toMatchObject({ answer: 'back' });
  });
});

describe('a thread that dies under load', () => {
  test('loses no task: its agents are back elsewhere and every task has one outcome', async () => {
    await using troupe = await testTroupe({ threads: 4 });
    const refs = await Promise.all(Array.from({ length: 20 }, () => troupe.agents.spawn('probe')));
    const tasks = await Promise.all(
      Array.from({ length: 300 }, (_, at) =>
        troupe.tasks.start({
          capability: 'probe.run',
          input: { sleepMs: 5, answer: at },
          retry: { maxAttempts: 10, backoffMs: 1 },
        }),
      ),
    );
    const { threads } = await troupe.system.status();
    for (const { thread } of threads.slice(0, 2)) troupe.system.killThread(thread, 'exit');
    const results = await Promise.all(tasks.map((task) => task.result<{ answer: number }>()));
    expect(results.map(({ answer }) => answer)).toEqual(tasks.map((_, at) => at));
    const views = await Promise.all(tasks.map((task) => task.view()));
    expect(views.every(({ attempts }) => attempts?.filter(({ outcome }) => outcome === 'completed').length === 1)).toBe(
      true,
    );
    await eventually(async () =>
      (await Promise.all(refs.map((ref) => ref.view()))).every(({ state }) => state === 'idle'),
    );
  });
});

describe('what an agent keeps', () => {
  test('is there after its crash, and after the end of its thread', async () => {
    await using troupe = await testTroupe();
    const ref = await troupe.agents.spawn('keeper');
    const add = async (amount: number) =>
      (await troupe.tasks.start({ capability: 'keeper.add', input: { amount } })).result();
    expect(await add(3)).toEqual({ total: 3 });
    await ref.tell('crash');
    await eventually(
      async () => ((await ref.view()).metrics?.availability.restarts ?? 0) > 0 && (await ref.view()).state === 'idle',
    );
    expect(await ref.ask('total')).toBe(3);
    const { thread } = await ref.view();
    troupe.system.killThread(thread ?? -1, 'terminate');
    await eventually(async () => {
      const view = await ref.view();
      return view.state === 'idle' && view.thread !== thread;
    });
    expect(await add(4)).toEqual({ total: 7 });
  });

  test('is there after a restart of the node, with what was accepted, and its timers ring', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'troupe-runtime-'));
    const dataDir = join(folder, 'data');
    try {
      const first = await testTroupe({ dataDir });
      const ref = await first.agents.spawn('keeper', { name: 'kim' });
      await (await first.tasks.start({ capability: 'keeper.add', input: { amount: 5 } })).result();
      await ref.ask('wake', { afterMs: 2_000 });
      await ref.pause();
      const later = await first.tasks.submit({ capability: 'keeper.add', input: { amount: 6 } });
      await first.stop();

      await using second = await testTroupe({ dataDir });
      const again = await second.agents.ref('kim');
      expect(again.id).toBe(ref.id);
      expect(
        (await eventually(async () => ((await again.view()).state === 'paused' ? again.view() : undefined))).state,
      ).toBe('paused');
      await again.resume();
      const done = await second.tasks.wait(later.id, { timeoutMs: 20_000 });
      expect(done).toMatchObject({ status: 'completed', result: { total: 11 } });
      await eventually(async () => (await again.ask('rings')) === 1);
    } finally {
      rmSync(folder, { recursive: true, force: true });
    }
  });
});
