// Many agents and random lives: what must hold whatever happens in whatever order.
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { createActor } from 'xstate';
import { AGENT_STATES, type AgentState, LIFECYCLE_EVENTS } from '../../runtime/contracts/agent.ts';
import { RuntimeError, wireError } from '../../runtime/contracts/errors.ts';
import { supervisionOptionsSchema, type Terminated } from '../../runtime/contracts/supervision.ts';
import type { AgentSpec } from '../../runtime/supervision/agent-supervisor.ts';
import {
  AgentsSupervisor,
  type AgentTransition,
  type CellNotice,
} from '../../runtime/supervision/agents-supervisor.ts';
import { testAmbient } from '../kit/ambient.ts';
import { settle } from '../kit/manual-clock.ts';

function start() {
  const ambient = testAmbient();
  const limits = { spawnTimeoutMs: 10_000, haltMs: 1_000 };
  const agents = new AgentsSupervisor({ ambient, limits, onEvent: () => {} });
  const actor = createActor(agents.logic, { id: 'agents' });
  actor.subscribe({ error: () => {} });
  actor.start();
  return { ambient, agents, actor };
}

/** Moves that the lifecycle allows, whatever event makes them. */
const LEGAL: Readonly<Record<AgentState, readonly AgentState[]>> = {
  created: ['initializing', 'error', 'terminated'],
  initializing: ['idle', 'running', 'paused', 'error', 'terminated'],
  idle: ['running', 'paused', 'error', 'terminated'],
  running: ['idle', 'paused', 'error', 'terminated'],
  paused: ['idle', 'running', 'error', 'terminated'],
  error: ['initializing', 'terminated'],
  terminated: [],
};

describe('10,000 agents', () => {
  it('live under one supervisor whose snapshot is counts only, and leave nothing behind', async () => {
    const { ambient, agents, actor } = start();
    const supervision = supervisionOptionsSchema.parse({});
    const spec = (id: string): AgentSpec => ({
      id,
      type: 'probe',
      tenant: 'default',
      supervision,
      launch: async () => ({ thread: 1 }),
      halt: async () => {},
    });
    await Promise.all(Array.from({ length: 10_000 }, (_, index) => agents.spawn(spec(`a${index}`))));
    expect(agents.counts()).toMatchObject({ total: 10_000, byState: { idle: 10_000 }, byType: { probe: 10_000 } });
    expect(Object.keys(actor.getSnapshot())).not.toContain('children');
    let ended = 0;
    for (let index = 0; index < 10_000; index++) {
      agents.watch(`a${index}`, () => {
        ended += 1;
      });
    }
    await Promise.all(Array.from({ length: 10_000 }, (_, index) => agents.stop(`a${index}`, 'stop', 1_000)));
    expect(agents.counts()).toMatchObject({
      total: 0,
      byState: { idle: 0, terminated: 0 },
      byType: {},
      terminated: 10_000,
    });
    expect(ended).toBe(10_000);
    expect(ambient.clock.pending).toBe(0);
    actor.stop();
  });
});

const move = fc.record({
  what: fc.constantFrom(
    'fail',
    'lost idle',
    'lost busy',
    'done',
    'stop',
    'drain',
    'run',
    'idle',
    'pause',
    'odd transition',
    'stale failure',
    'time',
    'settle',
    'watch',
    'unwatch',
    'spawn again',
    'stop all',
  ),
  agent: fc.nat(3),
  ms: fc.constantFrom(1, 100, 1_000, 20_000),
});
const launchAnswer = fc.constantFrom('up', 'paused', 'init_failed', 'thread_lost', 'hang');
const restart = fc.constantFrom('permanent' as const, 'transient' as const, 'temporary' as const);

describe('random lives', () => {
  it('give exactly one terminated to every watch, keep to the lifecycle, and leave no timer', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(move, { maxLength: 80 }),
        fc.array(launchAnswer, { maxLength: 30 }),
        restart,
        fc.nat(3),
        async (moves, answers, restartType, maxRestarts) => {
          const { ambient, agents, actor } = start();
          const supervision = supervisionOptionsSchema.parse({ restart: restartType, maxRestarts });
          const transitions: AgentTransition[] = [];
          agents.onTransition((transition) => transitions.push(transition));
          const watches: { ends: Terminated[]; open: boolean; unwatch: () => void }[] = [];
          let answered = 0;
          const spec = (id: string): AgentSpec => ({
            id,
            type: 'probe',
            tenant: 'default',
            supervision,
            launch: async () => {
              const answer = answers[answered++] ?? 'up';
              if (answer === 'hang') await new Promise(() => {});
              if (answer === 'init_failed' || answer === 'thread_lost') throw new RuntimeError(answer, answer);
              return { thread: 1, state: answer === 'paused' ? 'paused' : 'idle' };
            },
            halt: async () => {},
          });
          const spawn = (id: string) => void agents.spawn(spec(id)).catch(() => {});
          for (let index = 0; index < 3; index++) spawn(`a${index}`);
          for (const { what, agent, ms } of moves) {
            const id = `a${agent}`;
            const incarnation = agents.get(id)?.incarnation ?? 0;
            const tell = (notice: object) => agents.notify({ id, incarnation, ...notice } as CellNotice);
            const to = (state: AgentState) => tell({ type: 'cell.transition', from: 'idle', to: state, cause: 'test' });
            if (what === 'fail') tell({ type: 'cell.failed', error: wireError('agent_crashed', 'x') });
            else if (what === 'lost idle')
              tell({ type: 'cell.lost', error: wireError('thread_lost', 'x'), busy: false });
            else if (what === 'lost busy')
              tell({ type: 'cell.lost', error: wireError('thread_lost', 'x'), busy: true });
            else if (what === 'done') tell({ type: 'cell.done', output: 1 });
            else if (what === 'stop') void agents.stop(id, 'stop', ms);
            else if (what === 'drain') void agents.stop(id, 'drain', ms);
            else if (what === 'run') to('running');
            else if (what === 'idle') to('idle');
            else if (what === 'pause') to('paused');
            else if (what === 'odd transition') to(AGENT_STATES[ms % AGENT_STATES.length] ?? 'idle');
            else if (what === 'stale failure') {
              tell({ type: 'cell.failed', incarnation: incarnation - 1, error: wireError('agent_crashed', 'x') });
            } else if (what === 'time') ambient.clock.advance(ms);
            else if (what === 'settle') await settle();
            else if (what === 'watch') {
              const ends: Terminated[] = [];
              const unwatch = agents.watch(id, (end) => ends.push(end));
              watches.push({ ends, open: true, unwatch });
            } else if (what === 'unwatch') {
              const last = watches.findLast(({ open, ends }) => open && ends.length === 0);
              if (last !== undefined) {
                last.unwatch();
                last.open = false;
              }
            } else if (what === 'spawn again') spawn(id);
            else for (let index = 0; index < 4; index++) void agents.stop(`a${index}`, 'stop', 1_000);
          }
          await settle();
          actor.stop();
          await settle();
          for (const { ends, open } of watches) expect(ends).toHaveLength(open ? 1 : 0);
          const at = new Map<string, AgentState>();
          for (const { id, from, to } of transitions) {
            const current = at.get(id) ?? 'created';
            expect(from).toBe(current === 'terminated' ? 'created' : current);
            expect(LEGAL[from], `${from} to ${to}`).toContain(to);
            at.set(id, to);
          }
          expect(agents.counts().total).toBe(0);
          expect(Object.values(agents.counts().byState).every((count) => count === 0)).toBe(true);
          expect(ambient.clock.pending).toBe(0);
          expect(ambient.logged.filter(({ level }) => level === 'error')).toEqual([]);
        },
      ),
      { numRuns: 400 },
    );
  });

  it('is judged by moves that the events of the lifecycle allow', () => {
    expect(LIFECYCLE_EVENTS.crash.every((from) => LEGAL[from].includes('error'))).toBe(true);
    expect(LIFECYCLE_EVENTS.terminate.every((from) => LEGAL[from].includes('terminated'))).toBe(true);
    expect(LIFECYCLE_EVENTS.restart.every((from) => LEGAL[from].includes('initializing'))).toBe(true);
  });
});
