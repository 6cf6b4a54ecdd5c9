import { describe, expect, test } from 'vitest';
import { defineAgent } from '../../../actors/agent/define-agent.ts';
import { z } from '../../../actors/index.ts';
import { askOf, taskOf, tellOf } from '../../kit/fake-cell.ts';
import { settle } from '../../kit/manual-clock.ts';
import { doubling, gate, path, started, worker } from '../../kit/worker-agent.ts';

const never = new AbortController().signal;

describe('configure', () => {
  test('refuses a capability the type does not have, naming those it has', async () => {
    const { agent } = await started(doubling());
    const configured = async () => agent.signal({ type: 'configure', capabilities: ['work.undo'] });
    await expect(configured()).rejects.toMatchObject({ code: 'unknown_capability', details: { known: ['work.do'] } });
  });

  test('changes the config that handlers see, or refuses it and changes nothing', async () => {
    const definition = defineAgent({
      type: 'a',
      config: z.object({ limit: z.number().default(3) }),
      on: { limit: (_message, ctx) => ctx.config.limit },
    });
    const { cell, agent } = await started(definition);
    const configure = async (config: Record<string, unknown>) => agent.signal({ type: 'configure', config });
    agent.receive(askOf('limit'));
    await configure({ limit: 9 });
    agent.receive(askOf('limit'));
    await expect(configure({ limit: 'none' })).rejects.toMatchObject({
      code: 'config_invalid',
      details: { path: 'limit' },
    });
    agent.receive(askOf('limit'));
    expect(cell.replies.map(({ body }) => body)).toEqual([3, 9, 9]);
  });
});

describe('pause', () => {
  test('keeps messages until the resume, in order', async () => {
    const handled: unknown[] = [];
    const { cell, agent } = await started(
      defineAgent({ type: 'a', on: { m: (message) => void handled.push(message.body) } }),
    );
    agent.signal({ type: 'pause' });
    const waiting = [1, 2].map((n) => agent.receive(tellOf('m', n)));
    await settle();
    expect(handled).toEqual([]);
    agent.signal({ type: 'resume' });
    await Promise.all(waiting);
    expect(handled).toEqual([1, 2]);
    expect(path(cell)).toBe('created initializing idle paused idle');
  });

  test('of a running agent waits for its task; messages are handled until then', async () => {
    const slow = gate<{ doubled: number }>();
    const { cell, agent } = await started(worker(() => slow.passed, { on: { ping: () => 'pong' } }));
    const running = agent.runTask(taskOf('work.do', { n: 1 }), never);
    agent.signal({ type: 'pause' });
    agent.receive(askOf('ping'));
    expect(cell.replies).toHaveLength(1);
    expect(agent.state()).toBe('running');
    slow.open({ doubled: 2 });
    expect((await running).type).toBe('completed');
    expect(agent.state()).toBe('paused');
    expect(path(cell)).toBe('created initializing idle running paused');
  });

  test('twice is an illegal transition that names both', async () => {
    const { agent } = await started(doubling());
    agent.signal({ type: 'pause' });
    expect(() => agent.signal({ type: 'pause' })).toThrowError(
      expect.objectContaining({ code: 'illegal_transition', details: { from: 'paused', event: 'pause' } }),
    );
  });

  test('is kept over a restart', async () => {
    const { cell, agent } = await started(doubling(), { paused: true });
    expect(path(cell)).toBe('created initializing paused');
    expect((await agent.runTask(taskOf('work.do', { n: 1 }), never)).type).toBe('released');
  });
});

describe('messages during a task', () => {
  const during = (more: object) => {
    const step = gate<{ doubled: number }>();
    return { step, definition: worker(() => step.passed, { on: { ping: () => 'pong' }, ...more }) };
  };

  test('are handled between its awaits', async () => {
    const { step, definition } = during({});
    const { cell, agent } = await started(definition);
    const running = agent.runTask(taskOf('work.do', { n: 1 }), never);
    agent.receive(askOf('ping'));
    expect(cell.replies).toHaveLength(1);
    step.open({ doubled: 2 });
    await running;
  });

  test('wait for its end under deferWhileRunning', async () => {
    const { step, definition } = during({ deferWhileRunning: true });
    const { cell, agent } = await started(definition);
    const running = agent.runTask(taskOf('work.do', { n: 1 }), never);
    const waiting = agent.receive(askOf('ping'));
    await settle();
    expect(cell.replies).toEqual([]);
    step.open({ doubled: 2 });
    await running;
    await waiting;
    expect(cell.replies).toHaveLength(1);
    expect(agent.receive(askOf('ping'))).toBeUndefined();
  });
});
