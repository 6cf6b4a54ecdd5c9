import { afterEach, beforeEach, describe, expect, it, test } from 'vitest';
import { createActor } from 'xstate';
import type { AgentState } from '../../runtime/contracts/agent.ts';
import { RuntimeError, wireError } from '../../runtime/contracts/errors.ts';
import type { NewEvent } from '../../runtime/contracts/event.ts';
import {
  type SupervisionOptions,
  supervisionOptionsSchema,
  type Terminated,
} from '../../runtime/contracts/supervision.ts';
import type { AgentSpec, PreviousIncarnation } from '../../runtime/supervision/agent-supervisor.ts';
import {
  AgentsSupervisor,
  type AgentTransition,
  type CellNotice,
} from '../../runtime/supervision/agents-supervisor.ts';
import { type TestAmbient, testAmbient } from '../kit/ambient.ts';
import { settle } from '../kit/manual-clock.ts';

/** A pool that does as it is told. */
class FakePool {
  readonly launches: { id: string; incarnation: number; previous: PreviousIncarnation | undefined }[] = [];
  readonly halts: string[] = [];
  /** What the next launches of an agent answer; `thread 1` when there is nothing. */
  readonly answers = new Map<string, (() => Promise<{ thread: number; state?: AgentState }>)[]>();
  haltAnswer: () => Promise<void> = async () => {};

  spec(id: string, supervision: SupervisionOptions = {}): AgentSpec {
    return {
      id,
      type: 'probe',
      tenant: 'default',
      supervision: supervisionOptionsSchema.parse({ backoff: { jitter: 0 }, ...supervision }),
      launch: async (incarnation, previous) => {
        this.launches.push({ id, incarnation, previous });
        const answer = this.answers.get(id)?.shift();
        return answer === undefined ? { thread: 1 } : await answer();
      },
      halt: async (mode) => {
        this.halts.push(`${id} ${mode}`);
        await this.haltAnswer();
      },
    };
  }

  next(id: string, ...answers: (() => Promise<{ thread: number; state?: AgentState }>)[]): void {
    this.answers.set(id, [...(this.answers.get(id) ?? []), ...answers]);
  }
}

const refuse =
  (code: 'init_failed' | 'thread_lost' | 'no_thread_up' | 'unknown_agent_type', details = {}) =>
  async () => {
    throw new RuntimeError(code, code, { details });
  };
const never = () => new Promise<never>(() => {});

let ambient: TestAmbient;
let pool: FakePool;
let agents: AgentsSupervisor;
let events: NewEvent[];
let transitions: AgentTransition[];
let root: { stop(): void };
const uncaught: unknown[] = [];
const onUncaught = (error: unknown) => uncaught.push(error);

beforeEach(() => {
  uncaught.length = 0;
  process.on('uncaughtException', onUncaught);
  process.on('unhandledRejection', onUncaught);
  ambient = testAmbient();
  pool = new FakePool();
  events = [];
  transitions = [];
  const limits = { spawnTimeoutMs: 10_000, haltMs: 1_000 };
  agents = new AgentsSupervisor({ ambient, limits, onEvent: (event) => events.push(event) });
  agents.onTransition((transition) => transitions.push(transition));
  const actor = createActor(agents.logic, { id: 'agents' });
  actor.subscribe({ error: () => {} });
  actor.start();
  root = actor;
});

afterEach(async () => {
  root.stop();
  await settle();
  process.off('uncaughtException', onUncaught);
  process.off('unhandledRejection', onUncaught);
  expect(uncaught).toEqual([]);
  expect(ambient.clock.pending).toBe(0);
  expect(agents.counts().total).toBe(0);
});

const tell = (notice: Omit<CellNotice, 'id'> & { id?: string }) => agents.notify({ id: 'a', ...notice } as CellNotice);
const crash = (incarnation: number, code = 'agent_crashed') =>
  tell({ type: 'cell.failed', incarnation, error: { ...wireError('agent_crashed', 'boom'), code } } as never);
const lose = (incarnation: number, busy: boolean) =>
  tell({ type: 'cell.lost', incarnation, error: wireError('thread_lost', 'gone'), busy } as never);
const path = () => transitions.map(({ from, to }) => `${from}>${to}`);

function watched(id: string): Terminated[] {
  const ends: Terminated[] = [];
  agents.watch(id, (end) => ends.push(end));
  return ends;
}

describe('spawning', () => {
  it('resolves at the first start and mirrors the states on the way', async () => {
    await expect(agents.spawn(pool.spec('a'))).resolves.toEqual({ thread: 1, incarnation: 1 });
    expect(path()).toEqual(['created>initializing', 'initializing>idle']);
    expect(agents.get('a')).toMatchObject({ state: 'idle', thread: 1, incarnation: 1, restarts: 0, errors: 0 });
    expect(agents.counts()).toMatchObject({ total: 1, byState: { idle: 1, created: 0 }, byType: { probe: 1 } });
  });

  it('takes the state that the launch answers', async () => {
    pool.next('a', async () => ({ thread: 2, state: 'paused' }));
    await agents.spawn(pool.spec('a'));
    expect(agents.get('a')?.state).toBe('paused');
  });

  it('takes transitions that overtake the answer, and does not go back to initializing', async () => {
    let answer: (at: { thread: number }) => void = () => {};
    pool.next('a', () => new Promise((resolve) => (answer = resolve)));
    const spawned = agents.spawn(pool.spec('a'));
    tell({ type: 'cell.transition', incarnation: 1, from: 'created', to: 'initializing', cause: 'x' } as never);
    tell({ type: 'cell.transition', incarnation: 1, from: 'initializing', to: 'paused', cause: 'x' } as never);
    answer({ thread: 3 });
    await spawned;
    tell({ type: 'cell.transition', incarnation: 1, from: 'created', to: 'initializing', cause: 'late' } as never);
    expect(path()).toEqual(['created>initializing', 'initializing>paused']);
  });

  it('tries again when the initialisation fails, and then resolves', async () => {
    pool.next('a', refuse('init_failed'));
    const spawned = agents.spawn(pool.spec('a'));
    await ambient.clock.advanceAsync(100);
    await expect(spawned).resolves.toEqual({ thread: 1, incarnation: 2 });
    expect(path()).toEqual(['created>initializing', 'initializing>error', 'error>initializing', 'initializing>idle']);
  });

  it('rejects with init_failed when the budget is gone', async () => {
    pool.next('a', ...Array.from({ length: 3 }, () => refuse('init_failed')));
    const spawned = agents.spawn(pool.spec('a', { maxRestarts: 2 }));
    const ends = watched('a');
    const rejected = expect(spawned).rejects.toMatchObject({ code: 'init_failed', details: { maxRestarts: 2 } });
    await ambient.clock.advanceAsync(5_000);
    await rejected;
    expect(ends).toMatchObject([{ id: 'a', reason: 'restart_intensity' }]);
    expect(pool.launches).toHaveLength(3);
  });

  it('rejects with the error itself when no restart can mend it', async () => {
    pool.next('a', refuse('unknown_agent_type'));
    await expect(agents.spawn(pool.spec('a'))).rejects.toMatchObject({ code: 'unknown_agent_type' });
    expect(pool.launches).toHaveLength(1);
  });

  it('ends a launch that nobody answers', async () => {
    pool.next('a', never);
    const spawned = agents.spawn(pool.spec('a'));
    await ambient.clock.advanceAsync(10_100);
    await expect(spawned).resolves.toEqual({ thread: 1, incarnation: 2 });
    expect(agents.get('a')?.error).toMatchObject({ code: 'spawn_timeout' });
  });

  it('refuses an id that is alive, and takes one that has ended', async () => {
    await agents.spawn(pool.spec('a'));
    await expect(agents.spawn(pool.spec('a'))).rejects.toMatchObject({ code: 'illegal_transition' });
    await agents.stop('a', 'stop', 100);
    await agents.spawn(pool.spec('a'));
    expect(agents.get('a')).toMatchObject({ state: 'idle', incarnation: 1, reason: undefined });
  });
});

describe('the budget of an agent', () => {
  it('restarts after a back-off that grows, and is terminated beyond the budget', async () => {
    await agents.spawn(pool.spec('a', { maxRestarts: 2, withinMs: 10_000 }));
    const ends = watched('a');
    crash(1);
    expect(agents.get('a')).toMatchObject({ state: 'error', phase: 'backing_off' });
    await ambient.clock.advanceAsync(99);
    expect(pool.launches).toHaveLength(1);
    await ambient.clock.advanceAsync(1);
    expect(agents.get('a')).toMatchObject({ state: 'idle', incarnation: 2, restarts: 1 });
    crash(2);
    await ambient.clock.advanceAsync(200);
    crash(3);
    expect(agents.get('a')).toMatchObject({ state: 'terminated', reason: 'restart_intensity', restarts: 2, errors: 3 });
    expect(ends).toMatchObject([{ reason: 'restart_intensity', error: { code: 'restart_intensity' } }]);
    expect(pool.halts).toEqual(['a stop']);
    expect(agents.counts()).toMatchObject({ total: 0, terminated: 1, restarts: 2, byType: {} });
    expect(events.filter(({ type }) => type === 'supervision.restart')).toHaveLength(2);
    expect(events.at(-1)).toMatchObject({
      type: 'agent.terminated',
      stream: 'a',
      data: { reason: 'restart_intensity' },
    });
  });

  it('is its own: the failures of one agent do not count for another', async () => {
    await agents.spawn(pool.spec('a', { maxRestarts: 1 }));
    await agents.spawn(pool.spec('b', { maxRestarts: 1 }));
    crash(1);
    tell({ id: 'b', type: 'cell.failed', incarnation: 1, error: wireError('agent_crashed', 'boom') } as never);
    await ambient.clock.advanceAsync(100);
    expect(agents.counts().byState.idle).toBe(2);
  });

  it('tells the launch where the incarnation before was', async () => {
    await agents.spawn(pool.spec('a'));
    crash(1);
    await ambient.clock.advanceAsync(100);
    lose(2, false);
    await settle();
    expect(pool.launches.map(({ previous }) => previous)).toEqual([
      undefined,
      { thread: 1, lost: false },
      { thread: 1, lost: true },
    ]);
  });

  it('does not charge the loss of a thread in which it was idle, and restarts at once', async () => {
    await agents.spawn(pool.spec('a', { maxRestarts: 0 }));
    for (let incarnation = 1; incarnation <= 5; incarnation++) {
      lose(incarnation, false);
      await settle();
    }
    expect(agents.get('a')).toMatchObject({ state: 'idle', incarnation: 6, restarts: 5 });
    expect(ambient.clock.monotonicMs()).toBe(0);
  });

  it('charges the loss of a thread in which it was busy', async () => {
    await agents.spawn(pool.spec('a', { maxRestarts: 0 }));
    const ends = watched('a');
    lose(1, true);
    expect(ends).toMatchObject([{ reason: 'restart_intensity' }]);
  });

  it('charges launches that die with their threads only when they go on', async () => {
    pool.next('a', ...Array.from({ length: 4 }, () => refuse('thread_lost')));
    const spawned = agents.spawn(pool.spec('a', { maxRestarts: 0 }));
    const rejected = expect(spawned).rejects.toMatchObject({ code: 'init_failed' });
    await ambient.clock.advanceAsync(60_000);
    await rejected;
    expect(pool.launches).toHaveLength(4);
  });

  it.each<[string, SupervisionOptions, Terminated['reason'], boolean]>([
    ['stop', { directives: { bad: 'stop' } }, 'crashed', false],
    ['escalate', { directives: { bad: 'escalate' } }, 'crashed', true],
  ])('ends the agent under the directive %s', async (_name, supervision, reason, escalated) => {
    await agents.spawn(pool.spec('a', supervision));
    const ends = watched('a');
    crash(1, 'bad');
    expect(ends).toMatchObject([{ reason, error: { code: 'bad' } }]);
    expect(events.some(({ type }) => type === 'supervision.escalated')).toBe(escalated);
  });

  it('does not charge under the directive resume', async () => {
    await agents.spawn(pool.spec('a', { maxRestarts: 0, directives: { bad: 'resume' } }));
    crash(1, 'bad');
    await ambient.clock.advanceAsync(100);
    expect(agents.get('a')).toMatchObject({ state: 'idle', restarts: 1 });
  });

  test.each<['permanent' | 'transient' | 'temporary', 'done' | 'crash' | 'lost', Terminated['reason'] | 'lives']>([
    ['permanent', 'done', 'lives'],
    ['permanent', 'crash', 'lives'],
    ['permanent', 'lost', 'lives'],
    ['transient', 'done', 'done'],
    ['transient', 'crash', 'lives'],
    ['transient', 'lost', 'lives'],
    ['temporary', 'done', 'done'],
    ['temporary', 'crash', 'crashed'],
    ['temporary', 'lost', 'thread_lost'],
  ])('a %s agent after %s: %s', async (restart, exit, expected) => {
    await agents.spawn(pool.spec('a', { restart }));
    const ends = watched('a');
    if (exit === 'done') tell({ type: 'cell.done', incarnation: 1, output: 1 } as never);
    else if (exit === 'crash') crash(1);
    else lose(1, false);
    await ambient.clock.advanceAsync(100);
    expect(ends.map(({ reason }) => reason)).toEqual(expected === 'lives' ? [] : [expected]);
    expect(agents.get('a')?.state).toBe(expected === 'lives' ? 'idle' : 'terminated');
  });

  it('drops late notices of a dead incarnation', async () => {
    await agents.spawn(pool.spec('a'));
    crash(1);
    await ambient.clock.advanceAsync(100);
    tell({ type: 'cell.transition', incarnation: 1, from: 'idle', to: 'running', cause: 'late' } as never);
    crash(1);
    lose(1, true);
    expect(agents.get('a')).toMatchObject({ state: 'idle', incarnation: 2, errors: 1 });
  });

  it('has 1,000 agents of a dead thread relaunched in the same turn', async () => {
    await Promise.all(Array.from({ length: 1_000 }, (_, index) => agents.spawn(pool.spec(`a${index}`))));
    pool.launches.length = 0;
    for (let index = 0; index < 1_000; index++) {
      const error = wireError('thread_lost', 'gone');
      agents.notify({ type: 'cell.lost', id: `a${index}` as never, incarnation: 1, error, busy: false });
    }
    expect(pool.launches).toHaveLength(1_000);
    await settle();
    expect(agents.counts()).toMatchObject({ total: 1_000, byState: { idle: 1_000 }, restarts: 1_000 });
  });
});

describe('stopping', () => {
  it('halts the agent in its thread and tells its watchers once', async () => {
    await agents.spawn(pool.spec('a'));
    const ends = watched('a');
    await Promise.all([agents.stop('a', 'drain', 1_000), agents.stop('a', 'drain', 1_000)]);
    expect(pool.halts).toEqual(['a drain']);
    expect(ends).toEqual([{ type: 'terminated', id: 'a', reason: 'stopped' }]);
    expect(agents.get('a')).toMatchObject({ state: 'terminated', reason: 'stopped' });
    await agents.stop('a', 'stop', 1_000);
  });

  it('ends when the halt hangs or fails', async () => {
    await agents.spawn(pool.spec('a'));
    await agents.spawn(pool.spec('b'));
    pool.haltAnswer = never;
    const stopped = agents.stop('a', 'drain', 1_000);
    await ambient.clock.advanceAsync(2_000);
    await stopped;
    pool.haltAnswer = async () => {
      throw new Error('no such cell');
    };
    await agents.stop('b', 'drain', 1_000);
    expect(agents.counts().total).toBe(0);
  });

  it('hurries a drain when a stop follows', async () => {
    await agents.spawn(pool.spec('a'));
    pool.haltAnswer = never;
    const drained = agents.stop('a', 'drain', 60_000);
    const stopped = agents.stop('a', 'stop', 500);
    await ambient.clock.advanceAsync(1_500);
    await Promise.all([drained, stopped]);
    expect(pool.halts).toEqual(['a drain', 'a stop']);
  });

  it('ends at once while it waits for a restart', async () => {
    await agents.spawn(pool.spec('a'));
    crash(1);
    await agents.stop('a', 'drain', 1_000);
    expect(agents.get('a')).toMatchObject({ state: 'terminated', reason: 'stopped' });
    await ambient.clock.advanceAsync(10_000);
    expect(pool.launches).toHaveLength(1);
  });

  it('waits for a launch in flight, halts it, and rejects the spawn', async () => {
    let answer: (at: { thread: number }) => void = () => {};
    pool.next('a', () => new Promise((resolve) => (answer = resolve)));
    const spawned = agents.spawn(pool.spec('a'));
    const rejected = expect(spawned).rejects.toMatchObject({ code: 'agent_stopped' });
    await settle();
    const stopped = agents.stop('a', 'drain', 1_000);
    expect(pool.halts).toEqual([]);
    answer({ thread: 4 });
    await stopped;
    await rejected;
    expect(pool.halts).toEqual(['a drain']);
  });

  it('reaps a launch that answers after the agent was given up', async () => {
    let answer: (at: { thread: number }) => void = () => {};
    pool.next('a', () => new Promise((resolve) => (answer = resolve)));
    const rejected = expect(agents.spawn(pool.spec('a'))).rejects.toMatchObject({ code: 'agent_stopped' });
    const stopped = agents.stop('a', 'drain', 1_000);
    await ambient.clock.advanceAsync(1_000);
    await stopped;
    await rejected;
    expect(pool.halts).toEqual([]);
    answer({ thread: 4 });
    await settle();
    expect(pool.halts).toEqual(['a stop']);
  });

  it('does not restart what dies while it is being stopped', async () => {
    await agents.spawn(pool.spec('a'));
    pool.haltAnswer = never;
    const stopped = agents.stop('a', 'drain', 60_000);
    lose(1, true);
    await stopped;
    expect(agents.get('a')).toMatchObject({ reason: 'stopped' });
    expect(pool.launches).toHaveLength(1);
  });
});

describe('watching', () => {
  it('answers at once for an id that never was, and for one that has ended, with its reason', async () => {
    const unknown = watched('nobody');
    await agents.spawn(pool.spec('a', { restart: 'temporary' }));
    crash(1);
    const ended = watched('a');
    await settle();
    expect(unknown).toEqual([{ type: 'terminated', id: 'nobody', reason: 'not_found' }]);
    expect(ended).toMatchObject([{ reason: 'crashed', error: { code: 'agent_crashed' } }]);
  });

  it('does not call a listener that unwatched, even before the answer about an unknown id', async () => {
    const ends: Terminated[] = [];
    agents.watch('nobody', (end) => ends.push(end))();
    await agents.spawn(pool.spec('a'));
    const unwatch = agents.watch('a', (end) => ends.push(end));
    unwatch();
    unwatch();
    await agents.stop('a', 'stop', 100);
    expect(ends).toEqual([]);
  });

  it('survives listeners that throw, and listeners that act on the agent', async () => {
    await agents.spawn(pool.spec('a'));
    agents.onTransition(() => {
      throw new Error('listener');
    });
    agents.onTransition(({ to }) => {
      if (to === 'error') void agents.stop('a', 'stop', 100);
    });
    agents.watch('a', () => {
      throw new Error('watcher');
    });
    const ends = watched('a');
    crash(1);
    await settle();
    expect(ends).toMatchObject([{ reason: 'stopped' }]);
  });

  it('tells of the loss of a node', async () => {
    await agents.spawn(pool.spec('a'));
    const ends = watched('a');
    agents.endedElsewhere({ type: 'terminated', id: 'a', reason: 'node_lost' });
    await agents.stop('a', 'stop', 100);
    expect(ends).toMatchObject([{ reason: 'node_lost' }]);
  });
});
