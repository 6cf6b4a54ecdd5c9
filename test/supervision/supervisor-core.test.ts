// OTP's documentation of the supervisor, sentence by sentence, on the pure decisions.
import fc from 'fast-check';
import { describe, expect, it, test } from 'vitest';
import { wireError } from '../../runtime/contracts/errors.ts';
import { backoffSchema, type RestartType, type SupervisionStrategy } from '../../runtime/contracts/supervision.ts';
import {
  initialSupervisor,
  type SupervisorEffect,
  type SupervisorInput,
  type SupervisorState,
  superviseStep,
} from '../../runtime/supervision/supervisor-core.ts';

/** A world around the decisions: carries out effects at once unless told otherwise, and writes down what happened. */
class World {
  state: SupervisorState;
  readonly log: string[] = [];
  readonly waiting: string[] = [];
  readonly effects: SupervisorEffect[] = [];
  nowMs = 0;
  /** Children whose next starts fail, and how often. */
  readonly failStarts = new Map<string, number>();
  /** Stops are answered by hand. */
  slowStops = false;

  constructor(
    strategy: SupervisionStrategy,
    children: Record<string, RestartType>,
    options: { maxRestarts?: number; withinMs?: number; backoffMs?: number; directives?: Record<string, never> } = {},
  ) {
    const backoffMs = options.backoffMs ?? 0;
    this.state = initialSupervisor(
      {
        id: 'sup',
        strategy,
        intensity: { maxRestarts: options.maxRestarts ?? 10, withinMs: options.withinMs ?? 5_000 },
        backoff: backoffSchema.parse({ minMs: backoffMs, maxMs: backoffMs, jitter: 0 }),
      },
      Object.entries(children).map(([id, restart]) => ({
        id,
        restart,
        directives: { stop_me: 'stop', up: 'escalate', fine: 'resume' } as const,
      })),
    );
  }

  boot(): this {
    this.send({ type: 'boot' });
    return this;
  }

  crash(id: string, code: 'internal' | string = 'internal'): void {
    this.exit(id, { type: 'failed', error: { ...wireError('internal', `${id} crashed`), code } });
  }

  exit(id: string, exit: Extract<SupervisorInput, { type: 'child.exited' }>['exit']): void {
    this.log.push(`${id} ${exit.type}`);
    const incarnation = this.state.children.find((child) => child.id === id)?.incarnation ?? 0;
    this.send({ type: 'child.exited', id, incarnation, exit, nowMs: this.nowMs, random: 0.5 });
  }

  up(): string[] {
    return this.state.children.filter(({ status }) => status === 'up').map(({ id }) => id);
  }

  since(): string[] {
    return this.log.splice(0);
  }

  send(input: SupervisorInput): void {
    const { state, effects } = superviseStep(this.state, input);
    this.state = state;
    this.effects.push(...effects);
    for (const effect of effects) this.#carryOut(effect);
  }

  #carryOut(effect: SupervisorEffect): void {
    switch (effect.type) {
      case 'start': {
        const { id, incarnation } = effect;
        const fails = this.failStarts.get(id) ?? 0;
        if (fails > 0) {
          this.failStarts.set(id, fails - 1);
          this.log.push(`start ${id} fails`);
          const exit = { type: 'failed', error: wireError('internal', `${id} cannot start`) } as const;
          this.send({ type: 'child.exited', id, incarnation, exit, nowMs: this.nowMs, random: 0.5 });
          return;
        }
        this.log.push(`start ${id}`);
        this.send({ type: 'child.up', id, incarnation });
        return;
      }
      case 'stop':
        this.log.push(`stop ${effect.id}`);
        if (!this.slowStops) this.stopped(effect.id, effect.incarnation);
        return;
      case 'wait':
        this.waiting.push(effect.id);
        return;
      case 'kill':
        this.log.push(`kill ${effect.id}`);
        return;
      case 'ended':
      case 'failed':
        this.log.push(effect.type);
        return;
      default:
    }
  }

  stopped(id: string, incarnation: number): void {
    this.send({ type: 'child.exited', id, incarnation, exit: { type: 'done' }, nowMs: this.nowMs, random: 0.5 });
  }
}

const abc = { a: 'permanent', b: 'permanent', c: 'permanent' } as const;

describe('starting and stopping', () => {
  it('starts from left to right and stops from right to left', () => {
    const world = new World('one-for-one', abc).boot();
    expect(world.since()).toEqual(['start a', 'start b', 'start c']);
    expect(world.state.phase).toBe('running');
    world.send({ type: 'shutdown' });
    expect(world.since()).toEqual(['stop c', 'stop b', 'stop a', 'ended']);
    expect(world.state.phase).toBe('stopped');
  });

  it('starts a child only when the one before is up', () => {
    const { state, effects } = superviseStep(new World('one-for-one', abc).state, { type: 'boot' });
    expect(effects).toEqual([{ type: 'start', id: 'a', incarnation: 1 }]);
    const next = superviseStep(state, { type: 'child.up', id: 'a', incarnation: 1 });
    expect(next.effects).toEqual([{ type: 'start', id: 'b', incarnation: 1 }]);
  });

  it('stops what it started, in reverse, and fails when a child cannot start at boot', () => {
    const world = new World('one-for-one', abc);
    world.failStarts.set('c', 1);
    world.boot();
    expect(world.since()).toEqual(['start a', 'start b', 'start c fails', 'stop b', 'stop a', 'failed']);
    expect(world.state).toMatchObject({ phase: 'failed', error: { message: 'c cannot start' } });
  });

  it('kills a child that does not stop in time and goes on', () => {
    const world = new World('one-for-one', abc).boot();
    world.slowStops = true;
    world.since();
    world.send({ type: 'shutdown' });
    world.send({ type: 'shutdown.timeout', id: 'c', incarnation: 1 });
    expect(world.since()).toEqual(['stop c', 'kill c', 'stop b']);
  });

  it('ends at once when it has no children', () => {
    const world = new World('one-for-all', {}).boot();
    expect(world.state.phase).toBe('running');
    world.send({ type: 'shutdown' });
    expect(world.since()).toEqual(['ended']);
  });
});

describe('strategies', () => {
  test.each<[SupervisionStrategy, string[]]>([
    ['one-for-one', ['start b']],
    ['one-for-all', ['stop c', 'stop a', 'start a', 'start b', 'start c']],
    ['rest-for-one', ['stop c', 'start b', 'start c']],
  ])('%s answers the failure of the second of three', (strategy, expected) => {
    const world = new World(strategy, abc).boot();
    world.since();
    world.crash('b');
    expect(world.since()).toEqual(['b failed', ...expected]);
    expect(world.up()).toEqual(['a', 'b', 'c']);
  });

  test.each<[SupervisionStrategy]>([['one-for-all'], ['rest-for-one']])(
    '%s does not bring back a temporary sibling it stopped',
    (strategy) => {
      const world = new World(strategy, { a: 'permanent', b: 'temporary', c: 'permanent' }).boot();
      world.since();
      world.crash('a');
      expect(world.since()).toEqual(['a failed', 'stop c', 'stop b', 'start a', 'start c']);
      expect(world.state.children.map(({ id }) => id)).toEqual(['a', 'c']);
    },
  );

  it('brings back a transient sibling that had ended normally before, as OTP does', () => {
    const world = new World('one-for-all', { a: 'permanent', b: 'transient' }).boot();
    world.exit('b', { type: 'done' });
    expect(world.up()).toEqual(['a']);
    world.crash('a');
    expect(world.up()).toEqual(['a', 'b']);
  });

  it('restarts the group again when a sibling fails to start in it, at the price of one more restart', () => {
    const world = new World('rest-for-one', abc).boot();
    world.since();
    world.failStarts.set('c', 1);
    world.crash('a');
    expect(world.since()).toEqual(['a failed', 'stop c', 'stop b', 'start a', 'start b', 'start c fails', 'start c']);
    expect(world.state.restartsAtMs).toHaveLength(2);
  });

  it('merges a failure into a restart that is under way', () => {
    const world = new World('rest-for-one', abc, { backoffMs: 100 }).boot();
    world.since();
    world.crash('b');
    expect(world.since()).toEqual(['b failed', 'stop c']);
    world.crash('a');
    world.send({ type: 'backoff.over', id: 'b' });
    expect(world.since()).toEqual(['a failed']);
    world.send({ type: 'backoff.over', id: 'a' });
    expect(world.since()).toEqual(['start a', 'start b', 'start c']);
  });
});

describe('restart types', () => {
  test.each<[RestartType, string, (world: World) => void, string[], boolean]>([
    ['permanent', 'ends normally', (world) => world.exit('b', { type: 'done' }), ['start b'], true],
    ['permanent', 'fails', (world) => world.crash('b'), ['start b'], true],
    ['transient', 'ends normally', (world) => world.exit('b', { type: 'done' }), [], false],
    ['transient', 'fails', (world) => world.crash('b'), ['start b'], true],
    ['temporary', 'ends normally', (world) => world.exit('b', { type: 'done' }), [], false],
    ['temporary', 'fails', (world) => world.crash('b'), [], false],
  ])('a %s child that %s', (restart, _how, happen, starts, charged) => {
    const world = new World('one-for-one', { a: 'permanent', b: restart }).boot();
    world.since();
    happen(world);
    expect(world.since().slice(1)).toEqual(starts);
    expect(world.state.restartsAtMs).toHaveLength(charged ? 1 : 0);
    expect(world.state.phase).toBe('running');
  });

  it('forgets a temporary child that ended and keeps a transient one', () => {
    const world = new World('one-for-one', { a: 'temporary', b: 'transient' }).boot();
    world.exit('a', { type: 'done' });
    world.exit('b', { type: 'done' });
    expect(world.state.children.map(({ id, status }) => [id, status])).toEqual([['b', 'down']]);
  });
});

describe('restart intensity', () => {
  it('stops all children in reverse and fails when there are more than MaxR restarts within MaxT', () => {
    const world = new World('one-for-one', abc, { maxRestarts: 1, withinMs: 5_000 }).boot();
    world.crash('b');
    world.since();
    world.nowMs = 5_000;
    world.crash('c');
    expect(world.since()).toEqual(['c failed', 'stop b', 'stop a', 'failed']);
    expect(world.state.error).toMatchObject({ code: 'restart_intensity', details: { child: 'c', maxRestarts: 1 } });
  });

  it('counts restarts of different children together, per supervisor', () => {
    const world = new World('one-for-one', abc, { maxRestarts: 2 }).boot();
    world.crash('a');
    world.crash('b');
    expect(world.state.phase).toBe('running');
    world.crash('c');
    expect(world.state.phase).toBe('failed');
  });

  it('forgets restarts that left the window', () => {
    const world = new World('one-for-one', abc, { maxRestarts: 1, withinMs: 5_000 }).boot();
    for (let failure = 0; failure < 10; failure++) {
      world.nowMs += 5_001;
      world.crash('a');
    }
    expect(world.state.phase).toBe('running');
  });

  it('counts one restart for a whole group', () => {
    const world = new World('one-for-all', abc, { maxRestarts: 1 }).boot();
    world.crash('a');
    expect(world.state.restartsAtMs).toHaveLength(1);
    expect(world.up()).toEqual(['a', 'b', 'c']);
  });

  it('never loops on a child whose start always fails', () => {
    const world = new World('one-for-one', abc, { maxRestarts: 3 }).boot();
    world.failStarts.set('b', Number.POSITIVE_INFINITY);
    world.crash('b');
    expect(world.state.phase).toBe('failed');
    expect(world.log.filter((line) => line === 'start b fails')).toHaveLength(3);
  });
});

describe('directives and back-off', () => {
  it('stops, resumes and escalates by error code', () => {
    const world = new World('one-for-one', abc, { maxRestarts: 0 }).boot();
    world.crash('a', 'stop_me');
    expect(world.up()).toEqual(['b', 'c']);
    world.crash('b', 'fine');
    expect(world.up()).toEqual(['b', 'c']);
    expect(world.state.restartsAtMs).toEqual([]);
    world.crash('c', 'up');
    expect(world.state).toMatchObject({ phase: 'failed', error: { code: 'up' } });
  });

  it('waits before it starts the group, after it stopped it', () => {
    const world = new World('one-for-all', abc, { backoffMs: 100 }).boot();
    world.since();
    world.crash('b');
    expect(world.since()).toEqual(['b failed', 'stop c', 'stop a']);
    expect(world.waiting).toEqual(['b']);
    world.send({ type: 'backoff.over', id: 'b' });
    expect(world.since()).toEqual(['start a', 'start b', 'start c']);
  });

  it('does not start during a shutdown what was waiting', () => {
    const world = new World('one-for-one', abc, { backoffMs: 100 }).boot();
    world.crash('b');
    world.since();
    world.send({ type: 'shutdown' });
    world.send({ type: 'backoff.over', id: 'b' });
    expect(world.since()).toEqual(['stop c', 'stop a', 'ended']);
  });
});

describe('children at run time', () => {
  it('starts an added child last and forgets a removed one', () => {
    const world = new World('rest-for-one', abc).boot();
    world.since();
    world.send({ type: 'add', child: { id: 'd', restart: 'permanent', directives: {} } });
    world.send({ type: 'add', child: { id: 'd', restart: 'permanent', directives: {} } });
    world.send({ type: 'remove', id: 'b' });
    expect(world.since()).toEqual(['start d', 'stop b']);
    expect(world.up()).toEqual(['a', 'c', 'd']);
  });

  it('ignores exits of an older incarnation', () => {
    const world = new World('one-for-one', abc).boot();
    world.crash('a');
    const before = world.state;
    const exit = { type: 'failed', error: wireError('internal', 'late') } as const;
    world.send({ type: 'child.exited', id: 'a', incarnation: 1, exit, nowMs: 0, random: 0 });
    expect(world.state).toEqual(before);
  });
});

describe('any order of events', () => {
  const strategies = fc.constantFrom<SupervisionStrategy>('one-for-one', 'one-for-all', 'rest-for-one');
  const kinds = fc.constantFrom<RestartType>('permanent', 'transient', 'temporary');
  const step = fc.record({
    what: fc.constantFrom('crash', 'done', 'over', 'tick', 'add', 'remove', 'up', 'timeout'),
    at: fc.nat(4),
  });

  it('ends with every child down after a shutdown, and never starts one out of turn', () => {
    fc.assert(
      fc.property(
        strategies,
        fc.array(kinds, { minLength: 1, maxLength: 5 }),
        fc.array(step, { maxLength: 60 }),
        fc.boolean(),
        (strategy, restartTypes, steps, slow) => {
          const children = Object.fromEntries(restartTypes.map((restart, index) => [`c${index}`, restart]));
          const world = new World(strategy, children, { maxRestarts: 5, backoffMs: slow ? 50 : 0 }).boot();
          for (const { what, at } of steps) {
            const id = `c${at}`;
            const incarnation = world.state.children.find((child) => child.id === id)?.incarnation ?? 0;
            if (what === 'crash') world.crash(id);
            else if (what === 'done') world.exit(id, { type: 'done' });
            else if (what === 'over') world.send({ type: 'backoff.over', id });
            else if (what === 'tick') world.nowMs += 2_000;
            else if (what === 'add') world.send({ type: 'add', child: { id, restart: 'permanent', directives: {} } });
            else if (what === 'remove') world.send({ type: 'remove', id });
            else if (what === 'up') world.send({ type: 'child.up', id, incarnation });
            else world.send({ type: 'shutdown.timeout', id, incarnation });
            if (strategy === 'rest-for-one' && world.state.phase === 'running') {
              // Nobody runs behind a wanted sibling that is down: it may rely on it.
              const gap = world.state.children.findIndex((child) => child.wanted && child.status === 'down');
              const behind = gap === -1 ? [] : world.state.children.slice(gap + 1);
              expect(behind.filter(({ status }) => status === 'up')).toEqual([]);
            }
          }
          world.send({ type: 'shutdown' });
          expect(['stopped', 'failed']).toContain(world.state.phase);
          expect(world.state.children.every(({ status }) => status === 'down')).toBe(true);
        },
      ),
      { numRuns: 500 },
    );
  });
});
