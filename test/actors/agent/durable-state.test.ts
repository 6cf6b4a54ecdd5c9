import { describe, expect, test } from 'vitest';
import { capability } from '../../../actors/agent/capability.ts';
import { defineAgent } from '../../../actors/agent/define-agent.ts';
import { TaskError, z } from '../../../actors/index.ts';
import { RuntimeError } from '../../../runtime/contracts/errors.ts';
import { askOf, taskOf, tellOf } from '../../kit/fake-cell.ts';
import { gate, started, worker } from '../../kit/worker-agent.ts';

const never = new AbortController().signal;

describe('durable state', () => {
  const counter = defineAgent({
    type: 'counter',
    state: { count: 0, tags: ['a'] },
    capabilities: {
      'count.up': capability({
        version: 1,
        input: z.object({ by: z.number(), fail: z.boolean().default(false) }),
        output: z.unknown(),
        handle({ by, fail }, ctx) {
          const state = ctx.state as { count: number; tags: string[] };
          if (by > 0) ctx.state = { ...state, count: state.count + by };
          if (fail) throw new TaskError('told_to', 'fails');
          return {};
        },
      }),
    },
    on: {
      read: (_message, ctx) => ctx.state,
      save: (_message, ctx) => ctx.save(),
      tag: (_message, ctx) => void ctx.state.tags.push('b'),
      inPlace: (_message, ctx) => {
        (ctx.state as { count: number }).count++;
      },
    },
  });
  const up = (by: number, fail = false) => taskOf('count.up', { by, fail });

  test('goes with the outcome when it has changed, and only then', async () => {
    const { agent } = await started(counter);
    expect(await agent.runTask(up(2), never)).toMatchObject({ snapshot: { state: { count: 2 } } });
    expect(await agent.runTask(up(0), never)).not.toHaveProperty('snapshot');
  });

  test('changed in a failed attempt goes with the next completed one', async () => {
    const { agent } = await started(counter);
    expect(await agent.runTask(up(2, true), never)).not.toHaveProperty('snapshot');
    expect(await agent.runTask(up(0), never)).toMatchObject({ snapshot: { state: { count: 2 } } });
  });

  test('comes back in the next incarnation, through JSON', async () => {
    const { agent } = await started(counter);
    await agent.runTask(up(5), never);
    const restored = JSON.parse(JSON.stringify(agent.snapshot()));
    const next = await started(counter, { restored });
    next.agent.receive(askOf('read'));
    expect(next.cell.replies[0]?.body).toEqual({ count: 5, tags: ['a'] });
  });

  test('of one agent is not that of another of its type', async () => {
    const [one, two] = [await started(counter), await started(counter)];
    await one.agent.runTask(up(5), never);
    one.agent.receive(tellOf('tag'));
    two.agent.receive(askOf('read'));
    expect(two.cell.replies[0]?.body).toEqual({ count: 0, tags: ['a'] });
  });

  test('cannot be changed in place', async () => {
    const { cell, agent } = await started(counter);
    agent.receive(askOf('inPlace'));
    expect(cell.errorReplies).toHaveLength(1);
    agent.receive(askOf('read'));
    expect(cell.replies[0]?.body).toMatchObject({ count: 0 });
  });

  test('is written by save, and still to be written when that failed', async () => {
    let broken = true;
    const onRequest = () => {
      if (broken) throw new RuntimeError('store_unavailable', 'down');
    };
    const { cell, agent } = await started(counter, { onRequest });
    await agent.runTask(up(1, true), never);
    await agent.receive(askOf('save'));
    expect(cell.errorReplies).toMatchObject([{ error: { code: 'store_unavailable' } }]);
    expect(cell.requests).toMatchObject([{ type: 'agent.save', snapshot: { state: { count: 1 } } }]);
    broken = false;
    await agent.receive(askOf('save'));
    expect(await agent.runTask(up(0), never)).not.toHaveProperty('snapshot');
  });

  test('never holds a running handler', async () => {
    const slow = gate<{ doubled: number }>();
    const { agent } = await started(worker(() => slow.passed, { state: { a: 1 } }));
    const running = agent.runTask(taskOf('work.do', { n: 1 }), never);
    expect(agent.snapshot()).toEqual({ state: { a: 1 } });
    slow.open({ doubled: 2 });
    await running;
  });
});
