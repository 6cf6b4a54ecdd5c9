import { describe, expect, test } from 'vitest';
import { StandIns, type StandInsOptions } from '../../runtime/agents/stand-ins.ts';
import type { AgentId, TaskId } from '../../runtime/contracts/ids.ts';
import type { RanTask } from '../../runtime/contracts/ports.ts';
import type { ClaimedTask } from '../../runtime/contracts/task.ts';
import type { CellSpec } from '../../runtime/contracts/wire.ts';
import { testAmbient } from '../kit/ambient.ts';

const AGENT = 'agt_a' as AgentId;
const task = (n = 1) => ({ taskId: `tsk_${n}`, fence: 2 }) as ClaimedTask;
const COMPLETED: RanTask = { type: 'completed', result: 1, snapshot: { kept: true }, runMs: 5 };

function standIns(
  options: { readonly specFor?: StandInsOptions['specFor']; readonly pool?: Partial<StandInsOptions['pool']> } = {},
) {
  const told: string[] = [];
  const made = new StandIns({
    ambient: testAmbient(),
    specFor: async (_agent, id) => ({ id }) as CellSpec,
    ...options,
    pool: {
      spawn: async ({ id }, { dedicated }) => {
        told.push(`spawn ${dedicated}`);
        return { id, incarnation: 1, thread: 9 };
      },
      runTask: async (agent) => {
        told.push(agent === AGENT ? 'run on the agent' : 'run on the stand-in');
        return COMPLETED;
      },
      cancelTask: async () => ({ how: 'killed', collateral: [] }),
      stopCell: async () => void told.push('stop'),
      ...options.pool,
    },
  });
  return { made, told };
}

/** A call that is under way until `end`. */
function held<T>(value: T) {
  let end = () => {};
  const promise = new Promise<T>((resolve) => {
    end = () => resolve(value);
  });
  return { promise, end };
}

describe('a stand-in', () => {
  test('runs one attempt in a thread of its own, leaves no state behind, and is stopped', async () => {
    const { made, told } = standIns();
    expect(await made.runTask(AGENT, task())).toEqual({ type: 'completed', result: 1, runMs: 5, thread: 9 });
    expect(told).toEqual(['spawn true', 'run on the stand-in', 'stop']);
  });

  test('is not made for an agent that has a thread for itself', async () => {
    const { made, told } = standIns({ specFor: async () => undefined });
    expect(await made.runTask(AGENT, task())).toBe(COMPLETED);
    expect(told).toEqual(['run on the agent', 'stop']);
  });

  test('that does not start is an attempt lost without a culprit', async () => {
    const { made, told } = standIns({ pool: { spawn: () => Promise.reject(new Error('no')) } });
    expect(await made.runTask(AGENT, task())).toMatchObject({ type: 'lost', culprit: false, error: { message: 'no' } });
    expect(told).toEqual(['stop']);
  });

  test('is known by its agent only while it lives', async () => {
    const run = held(COMPLETED);
    const ids: AgentId[] = [];
    const { made } = standIns({
      pool: {
        runTask: (id) => {
          ids.push(id);
          return run.promise;
        },
      },
    });
    const ran = made.runTask(AGENT, task());
    await expect.poll(() => ids.length).toBe(1);
    expect(made.agentOf(ids[0] as AgentId)).toBe(AGENT);
    run.end();
    await ran;
    expect(made.agentOf(ids[0] as AgentId)).toBeUndefined();
  });

  test('a task cancelled before its stand-in is up does not run', async () => {
    const up = held({ id: AGENT, incarnation: 1, thread: 9 });
    const { made, told } = standIns({ pool: { spawn: () => up.promise } });
    const ran = made.runTask(AGENT, task());
    expect(await made.cancelTask('tsk_1' as TaskId, 2, 100)).toEqual({ how: 'cooperative', collateral: [] });
    up.end();
    expect(await ran).toMatchObject({ type: 'cancelled' });
    expect(told).toEqual(['stop']);
  });

  test('four at once; one more is released until there is room', async () => {
    const run = held(COMPLETED);
    const { made } = standIns({ pool: { runTask: () => run.promise } });
    const first = [1, 2, 3, 4].map((n) => made.runTask(AGENT, task(n)));
    expect(await made.runTask(AGENT, task(5))).toEqual({ type: 'released', reason: 'isolation_full' });
    run.end();
    await Promise.all(first);
    expect(await made.runTask(AGENT, task(5))).toMatchObject({ type: 'completed' });
  });
});
