// Figures from events and gauges: the sums agree, percentiles are exact, what is gone is not shown.

import { describe, expect, test } from 'vitest';
import type { EventType } from '../../runtime/contracts/event.ts';
import type { ThreadStats } from '../../runtime/contracts/wire.ts';
import { clampDelayMs } from '../../runtime/observe/ambient.ts';
import { createEventFeed } from '../../runtime/observe/event-stream.ts';
import { createMetrics, type MetricSources } from '../../runtime/observe/metrics.ts';
import { SampleWindow } from '../../runtime/observe/sample-window.ts';
import { testAmbient } from '../kit/ambient.ts';

const thread = (id: number): ThreadStats => ({
  thread: id,
  cells: 2,
  heapBytes: 1_000,
  utilization: 0.5,
  liveness: 'idle',
  lastBeatAgoMs: 1,
  messagesIn: 10,
  messagesOut: 5,
});

function world(over: Partial<MetricSources> = {}) {
  const ambient = testAmbient();
  const feed = createEventFeed(ambient);
  const sources: { -readonly [Key in keyof MetricSources]: MetricSources[Key] } = {
    agents: () => ({ byState: { idle: 2, error: 1 }, byType: { probe: 3 } }),
    threads: () => [thread(1), thread(2)],
    tasks: async () => ({ byState: { queued: 4 }, queues: [{ queue: 'probe.run@1', queued: 4, oldestMs: 9 }] }),
    ...over,
  };
  const metrics = createMetrics({ feed, clock: ambient.clock, log: ambient.log, version: '1.2.3', sources });
  let seq = 0;
  const emit = (stream: string, type: EventType, data: Record<string, unknown> = {}) =>
    feed.publish([
      { stream, seq: ++seq, type, tenant: 'default', at: new Date(ambient.clock.nowMs()).toISOString(), data },
    ]);
  return { ambient, feed, sources, metrics, emit };
}

describe('the report', () => {
  test('reconciles: what ended plus what is open is what was submitted', async () => {
    const { ambient, metrics, emit } = world();
    const ends = ['completed', 'completed', 'failed', 'dead', 'cancelled', 'timed_out'] as const;
    for (const [at, end] of ends.entries()) {
      emit(`t${at}`, 'task.accepted');
      ambient.clock.advance(10);
      emit(`t${at}`, 'task.started');
      ambient.clock.advance(20);
      emit(`t${at}`, `task.${end}`, end === 'failed' ? { error: { code: 'bad_page' } } : {});
    }
    emit('open', 'task.accepted');
    const { agents, orchestration } = await metrics.report();
    const execution = agents.execution as Record<string, number>;
    const ended = ['completed', 'failed', 'dead', 'cancelled', 'timed_out'].reduce(
      (sum, end) => sum + (execution[end] ?? 0),
      0,
    );
    expect(ended + 1).toBe(execution.submitted);
    expect(execution).toMatchObject({
      completed: 2,
      runP50Ms: 20,
      failureCauses: { bad_page: 1, dead: 1, timed_out: 1 },
    });
    expect(orchestration.distribution).toMatchObject({ assignmentP95Ms: 10 });
    expect(orchestration.health).toMatchObject({ active: 2, failed: 1 });
  });

  test('measures recovery from the crash to idle, once', async () => {
    const { ambient, metrics, emit } = world();
    emit('a', 'agent.transition', { from: 'idle', to: 'error' });
    ambient.clock.advance(150);
    emit('a', 'agent.transition', { from: 'error', to: 'initializing' });
    emit('a', 'agent.transition', { from: 'initializing', to: 'idle' });
    ambient.clock.advance(500);
    emit('a', 'agent.transition', { from: 'running', to: 'idle' });
    const { orchestration } = await metrics.report();
    expect(orchestration.faultTolerance).toMatchObject({ recoveries: 1, recoveryMeanMs: 150 });
  });

  test('knows workflows by pattern and their success', async () => {
    const { ambient, metrics, emit } = world();
    for (const [at, status] of ['completed', 'failed'].entries()) {
      emit(`w${at}`, 'workflow.started');
      ambient.clock.advance(100);
      emit(`w${at}`, 'workflow.ended', { status, pattern: 'parallel' });
    }
    const { workflows } = await metrics.report();
    expect(workflows).toMatchObject({ successRate: 0.5, byPattern: { parallel: { ended: 2, wallP50Ms: 100 } } });
  });

  test('is there when the store is not', async () => {
    const { metrics } = world({
      tasks: async () => {
        throw new Error('down');
      },
    });
    expect((await metrics.report()).orchestration.distribution).toMatchObject({ queues: null });
    expect(await metrics.prometheus()).toContain('troupe_agents{state="idle"} 2');
  });
});

describe('the Prometheus text', () => {
  test('has counters, histograms and gauges under our prefix', async () => {
    const { ambient, metrics, emit } = world();
    emit('t', 'task.accepted');
    ambient.clock.advance(3);
    emit('t', 'task.started');
    emit('t', 'task.completed', { runMs: 7 });
    emit('m', 'message.dead_letter', { reason: 'no_handler' });
    const text = await metrics.prometheus();
    for (const line of [
      'troupe_tasks_ended_total{outcome="completed"} 1',
      'troupe_dead_letters_total{reason="no_handler"} 1',
      'troupe_task_assignment_seconds_bucket{le="0.002"} 0',
      'troupe_task_assignment_seconds_bucket{le="0.005"} 1',
      'troupe_task_run_seconds_sum{outcome="completed"} 0.007',
      'troupe_queue_tasks{queue="probe.run@1"} 4',
      'troupe_threads{liveness="idle"} 2',
      'troupe_build_info{version="1.2.3"} 1',
    ])
      expect(text).toContain(line);
    expect(
      text.split('\n').filter((line) => line !== '' && !line.startsWith('#') && !line.startsWith('troupe_')),
    ).toEqual([]);
  });

  test('has what attempts used, by type of their agent, those that failed included', async () => {
    const { metrics, emit } = world({ typeOf: (id) => (id === 'agent_1' ? 'generation' : undefined) });
    emit('t', 'task.retrying', { agentId: 'agent_1', usage: { tokens: 10 } });
    emit('t', 'task.completed', { agentId: 'agent_1', runMs: 7, usage: { tokens: 5, cost: 0.5, messages: 2 } });
    emit('u', 'task.handed_off', { agentId: 'agent_gone', usage: { tokens: 1 } });
    emit('v', 'task.completed', { agentId: 'agent_1', usage: 'much' });
    const text = await metrics.prometheus();
    for (const line of [
      'troupe_tokens_total{type="generation"} 15',
      'troupe_tokens_total{type="unknown"} 1',
      'troupe_cost_total{type="generation"} 0.5',
      'troupe_task_messages_total{type="generation"} 2',
    ])
      expect(text).toContain(line);
    expect((await metrics.report()).agents.execution).toMatchObject({ used: { tokens: 16, cost: 0.5, messages: 2 } });
  });

  test('does not show what is gone', async () => {
    const { metrics, sources } = world();
    await metrics.prometheus();
    sources.threads = () => [thread(2)];
    sources.agents = () => ({ byState: {}, byType: {} });
    const text = await metrics.prometheus();
    expect(text).not.toContain('thread="1"');
    expect(text).not.toContain('state="error"');
    expect(text).toContain('troupe_threads{liveness="idle"} 1');
  });

  test('two nodes in one process do not meet, and a closed one hears nothing', async () => {
    const [a, b] = [world(), world()];
    a.emit('t', 'task.completed');
    a.metrics.close();
    a.emit('t', 'task.completed');
    expect(await a.metrics.prometheus()).toContain('troupe_tasks_ended_total{outcome="completed"} 1');
    expect(await b.metrics.prometheus()).not.toContain('outcome="completed"} 1');
  });
});

test('a window forgets the oldest and gives exact percentiles', () => {
  const window = new SampleWindow(4);
  for (const value of [100, 1, 2, 3, 4]) window.add(value);
  expect([window.count, window.percentile(0.5), window.percentile(1), window.mean()]).toEqual([5, 2, 4, 2.5]);
  expect(new SampleWindow().percentile(0.95)).toBe(0);
});

test.each([
  [-1, 0],
  [Number.NaN, 0],
  [2 ** 31, 2 ** 31 - 1],
  [Number.POSITIVE_INFINITY, 2 ** 31 - 1],
  [5, 5],
])('a delay of %d ms becomes %d', (given, taken) => {
  expect(clampDelayMs(given)).toBe(taken);
});
