import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { Lifecycle, type LifecycleChange } from '../../../actors/agent/lifecycle.ts';
import {
  AGENT_STATES,
  type AgentState,
  LIFECYCLE_EVENTS,
  type LifecycleEvent,
} from '../../../runtime/contracts/agent.ts';
import { RuntimeError } from '../../../runtime/contracts/errors.ts';

const EVENTS = Object.keys(LIFECYCLE_EVENTS) as LifecycleEvent[];

function fresh(startPaused = false): { life: Lifecycle; changes: LifecycleChange[] } {
  const changes: LifecycleChange[] = [];
  return { life: new Lifecycle({ startPaused, onChange: (change) => changes.push(change) }), changes };
}

function refusalOf(send: () => void): RuntimeError {
  try {
    send();
  } catch (error) {
    if (error instanceof RuntimeError) return error;
  }
  throw new Error('it was not refused');
}

/** The shortest way into each state. */
const PATHS: Record<AgentState, readonly LifecycleEvent[]> = {
  created: [],
  initializing: ['initialize'],
  idle: ['initialize', 'ready'],
  running: ['initialize', 'ready', 'taskStarted'],
  paused: ['initialize', 'ready', 'pause'],
  error: ['initialize', 'crash'],
  terminated: ['terminate'],
};

describe('every state and event', () => {
  const cases = AGENT_STATES.flatMap((state) => EVENTS.map((event) => ({ state, event })));

  test.each(cases)('$event in $state is taken or refused as the table says', ({ state, event }) => {
    const { life, changes } = fresh();
    for (const step of PATHS[state]) life.send(step);
    expect(life.state).toBe(state);
    const reported = changes.length;

    if ((LIFECYCLE_EVENTS[event] as readonly AgentState[]).includes(state)) {
      expect(() => life.send(event)).not.toThrow();
      return;
    }
    const error = refusalOf(() => life.send(event));
    expect(error.code).toBe('illegal_transition');
    expect(error.details).toEqual({ from: state, event });
    expect(life.state).toBe(state);
    expect(changes).toHaveLength(reported);
  });

  test('the chart takes exactly what the table allows', () => {
    for (const [event, states] of Object.entries(LIFECYCLE_EVENTS)) {
      for (const state of states) {
        const { life } = fresh();
        for (const step of PATHS[state]) life.send(step);
        const before = { state: life.state, running: life.running, pausing: life.pausing };
        life.send(event as LifecycleEvent);
        const after = { state: life.state, running: life.running, pausing: life.pausing };
        // A resume without a pause asked for is the only one that leaves all as it is.
        if (event === 'resume' && state === 'running') expect(after).toEqual(before);
        else expect(after, `${event} in ${state}`).not.toEqual(before);
      }
    }
  });
});

test('10,000 random events never leave the seven states, and every change is reported with its cause', () => {
  // Rare, because nothing happens after it.
  const event = fc.oneof(
    { weight: 100, arbitrary: fc.constantFrom(...EVENTS.filter((each) => each !== 'terminate')) },
    { weight: 1, arbitrary: fc.constant('terminate' as const) },
  );
  let sent = 0;
  fc.assert(
    fc.property(fc.array(event, { minLength: 100, maxLength: 100 }), fc.boolean(), (events, startPaused) => {
      const { life, changes } = fresh(startPaused);
      let state: AgentState = 'created';
      let running = 0;
      for (const each of events) {
        sent++;
        const legal = (LIFECYCLE_EVENTS[each] as readonly AgentState[]).includes(state);
        if (legal) life.send(each);
        else expect(refusalOf(() => life.send(each)).details).toEqual({ from: state, event: each });
        if (legal && each === 'taskStarted') running++;
        if (legal && each === 'taskEnded') running--;
        if (life.state !== 'running') running = 0;
        state = life.state;
        expect(AGENT_STATES).toContain(state);
        expect(life.running).toBe(running);
        expect(state === 'running').toBe(running > 0);
      }
      let at: AgentState = 'created';
      for (const change of changes) {
        expect(change.from).toBe(at);
        expect(change.to).not.toBe(change.from);
        expect(LIFECYCLE_EVENTS[change.cause]).toContain(change.from);
        at = change.to;
      }
      expect(at).toBe(life.state);
    }),
    { numRuns: 100 },
  );
  expect(sent).toBeGreaterThanOrEqual(10_000);
});

test('counts tasks up and down, and is idle after the last', () => {
  const { life, changes } = fresh();
  for (const event of ['initialize', 'ready', 'taskStarted', 'taskStarted', 'taskEnded'] as const) life.send(event);
  expect([life.state, life.running]).toEqual(['running', 1]);
  life.send('taskEnded');
  expect([life.state, life.running]).toEqual(['idle', 0]);
  expect(changes.map(({ to }) => to)).toEqual(['initializing', 'idle', 'running', 'idle']);
});

test('a pause while running takes effect after the last task', () => {
  const { life } = fresh();
  for (const event of ['initialize', 'ready', 'taskStarted', 'taskStarted', 'pause', 'taskEnded'] as const)
    life.send(event);
  expect([life.state, life.pausing]).toEqual(['running', true]);
  life.send('taskEnded');
  expect([life.state, life.pausing]).toEqual(['paused', false]);
});

test('a resume takes back a pause that has not yet taken effect', () => {
  const { life } = fresh();
  for (const event of ['initialize', 'ready', 'taskStarted', 'pause', 'resume', 'taskEnded'] as const) life.send(event);
  expect(life.state).toBe('idle');
});

test('starts paused when it was paused before', () => {
  const { life, changes } = fresh(true);
  life.send('initialize');
  life.send('ready');
  expect(life.state).toBe('paused');
  expect(changes.at(-1)).toEqual({ from: 'initializing', to: 'paused', cause: 'ready' });
});

test('reports the error with the crash', () => {
  const { life, changes } = fresh();
  const error = { code: 'agent_crashed', message: 'boom', retryable: true };
  life.send('initialize');
  life.send('crash', error);
  expect(changes.at(-1)).toEqual({ from: 'initializing', to: 'error', cause: 'crash', error });
});
