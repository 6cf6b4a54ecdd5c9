import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { RuntimeError, wireError } from '../../runtime/contracts/errors.ts';
import type { NewEvent } from '../../runtime/contracts/event.ts';
import { supervisionOptionsSchema } from '../../runtime/contracts/supervision.ts';
import {
  createSupervisionTree,
  ESCALATED_EXIT_CODE,
  type SupervisionTree,
  type SupervisionTreeOptions,
} from '../../runtime/supervision/supervision-tree.ts';
import { type TestAmbient, testAmbient } from '../kit/ambient.ts';
import { settle } from '../kit/manual-clock.ts';

let ambient: TestAmbient;
let log: string[];
let exits: { code: number; why: string }[];
let events: NewEvent[];
const uncaught: unknown[] = [];
const onUncaught = (error: unknown) => uncaught.push(error);

beforeEach(() => {
  ambient = testAmbient();
  log = [];
  exits = [];
  events = [];
  uncaught.length = 0;
  process.on('uncaughtException', onUncaught);
  process.on('unhandledRejection', onUncaught);
});

afterEach(async () => {
  await settle();
  process.off('uncaughtException', onUncaught);
  process.off('unhandledRejection', onUncaught);
  expect(uncaught).toEqual([]);
});

function make(options: Partial<SupervisionTreeOptions> = {}): SupervisionTree {
  return createSupervisionTree({
    ambient,
    onExit: (code, why) => exits.push({ code, why }),
    onEvent: (event) => events.push(event),
    ...options,
  });
}

function part(id: string, options: { failStart?: () => boolean; hangStop?: boolean } = {}) {
  const listeners = new Set<(error: unknown) => void>();
  return {
    id,
    start: async () => {
      log.push(`start ${id}`);
      if (options.failStart?.()) throw new RuntimeError('internal', `${id} cannot start`);
    },
    stop: async () => {
      log.push(`stop ${id}`);
      if (options.hangStop) await new Promise(() => {});
    },
    onFailure: (listener: (error: unknown) => void) => {
      listeners.add(listener);
      return () => {
        listeners.delete(listener);
      };
    },
    fail: (error: unknown) => {
      for (const listener of listeners) listener(error);
    },
    listeners,
  };
}

function agent(id: string, overrides: Partial<Parameters<SupervisionTree['agents']['spawn']>[0]> = {}) {
  return {
    id,
    type: 'probe',
    tenant: 'default',
    supervision: supervisionOptionsSchema.parse({}),
    launch: async () => ({ thread: 1 }),
    halt: async () => {},
    ...overrides,
  };
}

describe('the tree as a whole', () => {
  it('starts system children in order of their groups and stops them in reverse', async () => {
    const tree = make();
    for (const [group, id] of [
      ['edge', 'http'],
      ['threads', 'pool'],
      ['work', 'dispatcher'],
      ['work', 'sweeper'],
      ['workflows', 'recovery'],
    ] as const) {
      tree.addSystemChild(group, part(id));
    }
    expect(tree.state()).toBe('new');
    await tree.start();
    expect(tree.state()).toBe('running');
    expect(log).toEqual(['start pool', 'start recovery', 'start dispatcher', 'start sweeper', 'start http']);
    log.length = 0;
    await tree.stop();
    expect(tree.state()).toBe('stopped');
    expect(log).toEqual(['stop http', 'stop sweeper', 'stop dispatcher', 'stop recovery', 'stop pool']);
    expect(ambient.clock.pending).toBe(0);
    expect(exits).toEqual([]);
  });

  it('rejects the start with the error of the child that could not start, after the others were stopped', async () => {
    const tree = make();
    tree.addSystemChild('threads', part('pool'));
    tree.addSystemChild('work', part('dispatcher', { failStart: () => true }));
    tree.addSystemChild('edge', part('http'));
    await expect(tree.start()).rejects.toMatchObject({ code: 'internal', message: 'dispatcher cannot start' });
    expect(log).toEqual(['start pool', 'start dispatcher', 'stop pool']);
    expect(tree.state()).toBe('stopped');
    expect(exits).toEqual([]);
    expect(ambient.clock.pending).toBe(0);
  });

  it('restarts a failed system child and leaves the others alone', async () => {
    const tree = make();
    const dispatcher = part('dispatcher');
    tree.addSystemChild('work', dispatcher);
    tree.addSystemChild('work', part('sweeper'));
    await tree.start();
    log.length = 0;
    dispatcher.fail(new RuntimeError('store_unavailable', 'gone'));
    await settle();
    expect(log).toEqual(['stop dispatcher']);
    await ambient.clock.advanceAsync(200);
    expect(log).toEqual(['stop dispatcher', 'start dispatcher']);
    expect(dispatcher.listeners.size).toBe(1);
    expect(events.map(({ type, data }) => [type, data.child])).toEqual([['supervision.restart', 'dispatcher']]);
    await tree.stop();
    expect(ambient.clock.pending).toBe(0);
  });

  it('drains and exits with the code of an escalation when a system child is beyond its budget', async () => {
    const tree = make({ groups: { work: { intensity: { maxRestarts: 2, withinMs: 10_000 } } } });
    const dispatcher = part('dispatcher');
    tree.addSystemChild('threads', part('pool'));
    tree.addSystemChild('work', dispatcher);
    tree.addSystemChild('edge', part('http'));
    await tree.start();
    for (let failure = 0; failure < 3; failure++) {
      expect(exits).toEqual([]);
      dispatcher.fail(new RuntimeError('store_unavailable', `failure ${failure}`));
      await ambient.clock.advanceAsync(1_000);
    }
    expect(exits).toEqual([{ code: ESCALATED_EXIT_CODE, why: expect.stringContaining('more than 2 restarts') }]);
    expect(tree.state()).toBe('stopped');
    expect(log.slice(-2)).toEqual(['stop http', 'stop pool']);
    expect(events.filter(({ type }) => type === 'supervision.escalated')).toHaveLength(1);
    expect(ambient.clock.pending).toBe(0);
  });

  it('escalates at once what a restart cannot mend', async () => {
    const tree = make();
    const http = part('http');
    tree.addSystemChild('edge', http);
    await tree.start();
    http.fail(Object.assign(new Error('address in use'), { code: 'EADDRINUSE' }));
    await ambient.clock.advanceAsync(0);
    expect(exits).toHaveLength(1);
  });

  it('goes on without a child that does not stop', async () => {
    const tree = make();
    tree.addSystemChild('threads', part('pool'));
    tree.addSystemChild('edge', part('http', { hangStop: true }));
    await tree.start();
    log.length = 0;
    const stopped = tree.stop();
    await ambient.clock.advanceAsync(5_000);
    await stopped;
    expect(log).toEqual(['stop http', 'stop pool']);
    expect(ambient.clock.pending).toBe(0);
  });

  it('adds and removes system children while it runs', async () => {
    const tree = make();
    await tree.start();
    tree.addSystemChild('edge', part('http'));
    await settle();
    expect(log).toEqual(['start http']);
    tree.removeSystemChild('edge', 'http');
    await settle();
    expect(log).toEqual(['start http', 'stop http']);
    await tree.stop();
    expect(log).toHaveLength(2);
  });

  it('takes no agents while draining and takes them again after resume', async () => {
    const tree = make();
    await tree.start();
    tree.drain();
    expect(tree.state()).toBe('draining');
    await expect(tree.agents.spawn(agent('a'))).rejects.toMatchObject({ code: 'draining' });
    tree.resume();
    expect(tree.state()).toBe('running');
    await expect(tree.agents.spawn(agent('a'))).resolves.toEqual({ thread: 1, incarnation: 1 });
    await tree.stop();
  });

  it('stops when nothing was started, and twice, without harm', async () => {
    const tree = make();
    await tree.stop();
    await tree.start();
    await Promise.all([tree.stop(), tree.stop()]);
    await tree.stop();
    expect(tree.state()).toBe('stopped');
  });

  it('shows itself as a tree', async () => {
    const tree = make();
    tree.addSystemChild('work', part('dispatcher'));
    await tree.start();
    tree.threads.notify({ type: 'thread.up', thread: 1 });
    await tree.agents.spawn(agent('a'));
    tree.workflows.spawn('wfl_1', { start: () => {}, stop: () => {} });
    tree.workflows.step('wfl_1', 'search', { cancel: () => {} });
    const [threads, cluster, agents, workflows, work, edge] = tree.tree().children;
    expect(tree.tree()).toMatchObject({ id: 'root', state: 'running' });
    expect(threads?.children).toMatchObject([{ id: 'thread-1', kind: 'thread', state: 'up' }]);
    expect(cluster).toMatchObject({ id: 'cluster', state: 'running', children: [] });
    expect(agents?.children).toMatchObject([{ id: 'a', state: 'idle', children: [{ id: 'a#1', kind: 'cell' }] }]);
    expect(workflows?.children).toMatchObject([{ id: 'wfl_1', children: [{ id: 'wfl_1/search', kind: 'step' }] }]);
    expect(work?.children).toMatchObject([{ id: 'dispatcher', state: 'up' }]);
    expect(edge).toMatchObject({ id: 'edge', state: 'running', children: [] });
    await tree.stop();
  });

  it('shows a tenant its own agents and runs, and what belongs to nobody', async () => {
    const tree = make();
    tree.addSystemChild('work', part('dispatcher'));
    await tree.start();
    await tree.agents.spawn({ ...agent('ours'), tenant: 'acme' });
    await tree.agents.spawn({ ...agent('theirs'), tenant: 'other' });
    const about = (tenant: string) => ({ start: () => {}, stop: () => {}, about: { tenant, pattern: 'sequential' } });
    tree.workflows.spawn('wfl_ours', about('acme'));
    tree.workflows.spawn('wfl_theirs', about('other'));
    const [, , agents, workflows, work] = tree.tree('acme').children;
    expect(agents?.children.map(({ id }) => id)).toEqual(['ours']);
    expect(workflows?.children.map(({ id }) => id)).toEqual(['wfl_ours']);
    expect(work?.children).toMatchObject([{ id: 'dispatcher' }]);
    expect(tree.tree().children[2]?.children).toHaveLength(2);
    await tree.stop();
  });

  it('shows every actor to inspection with its parent', async () => {
    const seen = new Map<string, string | undefined>();
    const tree = make({
      inspect: (event) => {
        const ref = event.actorRef as unknown as { id: string; _parent?: { id: string } };
        if (event.type === '@xstate.actor') seen.set(ref.id, ref._parent?.id);
        throw new Error('an observer must not matter');
      },
    });
    await tree.start();
    await tree.agents.spawn(agent('a'));
    expect(seen.get('agents')).toBe('root');
    expect(seen.get('a')).toBe('agents');
    expect(seen.get('a#1')).toBe('a');
    await tree.stop();
  });
});

describe('threads', () => {
  const died = (thread: number) =>
    ({ type: 'thread.down', thread, reason: 'exited', cells: [], busy: [], detectedAfterMs: 1 }) as const;

  it('counts dead threads and escalates beyond the intensity', async () => {
    const tree = make({ threadIntensity: { maxRestarts: 2, withinMs: 10_000 } });
    await tree.start();
    for (let thread = 1; thread <= 3; thread++) {
      tree.threads.notify({ type: 'thread.up', thread });
      tree.threads.notify(died(thread));
    }
    await ambient.clock.advanceAsync(0);
    expect(exits).toHaveLength(1);
    expect(exits[0]?.why).toContain('the threads died more than 2 times');
    expect(events.filter(({ type }) => type === 'supervision.restart')).toHaveLength(2);
  });

  it.each([
    ['drained ones', { reason: 'drained' as const }, {}],
    ['dedicated ones', {}, { dedicatedTo: 'agt_x' as never }],
  ])('does not count %s', async (_name, down, up) => {
    const tree = make({ threadIntensity: { maxRestarts: 0, withinMs: 10_000 } });
    await tree.start();
    tree.threads.notify({ type: 'thread.up', thread: 1, ...up });
    tree.threads.notify({ ...died(1), ...down });
    await ambient.clock.advanceAsync(0);
    expect(exits).toEqual([]);
    await tree.stop();
  });

  it('shows a stuck thread and its recovery', async () => {
    const tree = make();
    await tree.start();
    tree.threads.notify({ type: 'thread.up', thread: 7 });
    tree.threads.notify({ type: 'thread.stuck', thread: 7, sinceMs: 1_000, busy: [] });
    expect(tree.tree().children[0]?.children[0]).toMatchObject({ id: 'thread-7', state: 'stuck' });
    tree.threads.notify({ type: 'thread.up', thread: 7 });
    expect(tree.tree().children[0]?.children[0]).toMatchObject({ id: 'thread-7', state: 'up' });
    await tree.stop();
  });
});

describe('workflows', () => {
  it('cancels the steps in flight of a coordinator that is stopped, then the coordinator, once', async () => {
    const tree = make();
    await tree.start();
    const coordinator = tree.workflows.spawn('wfl_1', { start: () => log.push('go'), stop: () => log.push('halt') });
    const first = tree.workflows.step('wfl_1', 'one', { cancel: () => log.push('cancel one') });
    tree.workflows.step('wfl_1', 'two', { cancel: () => log.push('cancel two') });
    tree.workflows.step('wfl_1', 'three', { cancel: () => log.push('cancel three') });
    first?.done();
    coordinator.stop();
    coordinator.stop();
    expect(log).toEqual(['go', 'cancel three', 'cancel two', 'halt']);
    expect(tree.workflows.size).toBe(0);
    expect(tree.workflows.step('wfl_1', 'four', { cancel: () => {} })).toBeUndefined();
    await tree.stop();
  });

  it('tells the coordinator of a failing step and does not fail with it', async () => {
    const tree = make();
    await tree.start();
    const failed: string[] = [];
    const coordinator = tree.workflows.spawn('wfl_1', {
      start: () => {},
      stop: () => {},
      onStepFailed: (step, error) => failed.push(`${step}: ${error.code}`),
    });
    const step = tree.workflows.step('wfl_1', 'one', { cancel: () => log.push('cancel') });
    step?.failed(wireError('task_timeout', 'too slow'));
    step?.stop();
    expect(failed).toEqual(['one: task_timeout']);
    expect(log).toEqual([]);
    expect(tree.workflows.size).toBe(1);
    coordinator.done();
    expect(tree.workflows.size).toBe(0);
    await tree.stop();
  });

  it('stops coordinators with the tree, and a throwing one does no harm', async () => {
    const tree = make();
    await tree.start();
    tree.workflows.spawn('wfl_1', {
      start: () => {},
      stop: () => {
        throw new Error('no');
      },
    });
    tree.workflows.spawn('wfl_2', { start: () => {}, stop: () => log.push('halt 2') });
    expect(() => tree.workflows.spawn('wfl_2', { start: () => {}, stop: () => {} })).toThrow('runs already');
    await tree.stop();
    expect(log).toEqual(['halt 2']);
    expect(() => tree.workflows.spawn('wfl_3', { start: () => {}, stop: () => {} })).toThrow('does not run');
  });

  it('contains a coordinator that fails', async () => {
    const tree = make();
    await tree.start();
    tree.workflows.spawn('wfl_1', {
      start: () => {
        throw new Error('bad start');
      },
      stop: () => {},
    });
    await settle();
    expect(tree.workflows.size).toBe(0);
    expect(tree.state()).toBe('running');
    await tree.stop();
  });
});
