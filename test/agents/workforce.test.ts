import { describe, expect, test } from 'vitest';
import { NodeWorkforce } from '../../runtime/agents/workforce.ts';
import { agentQueue } from '../../runtime/contracts/agent.ts';
import type { AgentId } from '../../runtime/contracts/ids.ts';

const id = (name: string) => name as AgentId;
const search = [{ name: 'document.search', version: 1 }];

function workforceOf(...names: string[]): NodeWorkforce {
  const workforce = new NodeWorkforce();
  names.forEach((name, thread) => {
    workforce.join({ id: id(name), slots: 1, epoch: 7, capabilities: search });
    workforce.setAvailable(id(name), true, thread);
  });
  return workforce;
}

describe('the workforce', () => {
  test('offers the free slots of each queue', () => {
    const workforce = workforceOf('a', 'b');
    workforce.join({ id: id('c'), slots: 3, epoch: 7, capabilities: [...search, { name: 'text.write', version: 2 }] });
    workforce.setAvailable(id('c'), true, 0);
    expect(new Map(workforce.offers().map(({ queue, free }) => [queue, free]))).toEqual(
      new Map([
        ['document.search@1', 5],
        ['text.write@2', 3],
      ]),
    );
  });

  test('gives every queue the agent that has waited longest', () => {
    const workforce = workforceOf('a', 'b', 'c');
    const taken = [1, 2, 3].map(() => workforce.take('document.search@1')?.agentId);
    expect(taken).toEqual(['a', 'b', 'c']);
    expect(workforce.take('document.search@1')).toBeUndefined();
    workforce.release(id('c'));
    workforce.release(id('a'));
    expect(workforce.take('document.search@1')?.agentId).toBe('c');
    expect(workforce.take('document.search@1')?.agentId).toBe('a');
  });

  test('says how it chose: who was free, and who would have been next', () => {
    const workforce = workforceOf('a', 'b', 'c', 'd', 'e', 'f');
    const placed = () => workforce.take('document.search@1')?.placed;
    expect(placed()).toEqual({ rule: 'longest_waiting', free: 6, next: ['b', 'c', 'd'] });
    expect([placed(), placed(), placed(), placed()].at(-1)).toEqual({ rule: 'longest_waiting', free: 2, next: ['f'] });
    expect(workforce.take(agentQueue(id('f')))?.placed).toEqual({ rule: 'named', free: 1, next: [] });
  });

  test('counts a slot once over all queues of its agent', () => {
    const workforce = new NodeWorkforce();
    workforce.join({ id: id('ab'), slots: 1, epoch: 7, capabilities: [...search, { name: 'text.write', version: 1 }] });
    workforce.setAvailable(id('ab'), true, 0);
    expect(workforce.take('document.search@1')?.agentId).toBe('ab');
    expect(workforce.take('text.write@1')).toBeUndefined();
    expect(workforce.offers()).toEqual([]);
    expect(workforce.serves('text.write@1')).toBe(true);
  });

  test('offers nothing of an agent that is paused, and its slots again when it is back', () => {
    const workforce = workforceOf('a');
    workforce.setAvailable(id('a'), false);
    expect(workforce.offers()).toEqual([]);
    expect(workforce.serves('document.search@1')).toBe(false);
    workforce.setAvailable(id('a'), true, 4);
    expect(workforce.take('document.search@1')).toMatchObject({ agentId: 'a', thread: 4, epoch: 7 });
  });

  test('keeps a slot that was taken when the agent was lost until it is released', () => {
    const workforce = workforceOf('a');
    workforce.take('document.search@1');
    workforce.setAvailable(id('a'), false);
    workforce.setAvailable(id('a'), true, 1);
    expect(workforce.freeIn('document.search@1')).toBe(0);
    workforce.release(id('a'));
    expect(workforce.freeIn('document.search@1')).toBe(1);
  });

  test('offers the queue of a single agent only after a task was seen in it', () => {
    const workforce = workforceOf('a');
    expect(workforce.offers().map(({ queue }) => queue)).toEqual(['document.search@1']);
    workforce.mention(agentQueue(id('a')));
    expect(workforce.offers().map(({ queue }) => queue)).toContain('agent:a');
    workforce.setMentioned([]);
    expect(workforce.offers().map(({ queue }) => queue)).not.toContain('agent:a');
  });

  test('routes by what is offered now', () => {
    const workforce = workforceOf('a');
    workforce.offer(id('a'), [{ name: 'text.write', version: 1 }]);
    expect(workforce.take('document.search@1')).toBeUndefined();
    expect(workforce.take('text.write@1')?.agentId).toBe('a');
  });

  test('leaves no queue behind when everybody is gone', () => {
    const workforce = workforceOf('a', 'b');
    workforce.take('document.search@1');
    workforce.leave(id('a'));
    workforce.leave(id('b'));
    workforce.release(id('a'));
    expect(workforce.offers()).toEqual([]);
    expect(workforce.serves('document.search@1')).toBe(false);
    expect(workforce.usage()).toEqual({ taken: 0, slots: 0 });
  });

  test('tells that a slot became free', () => {
    const workforce = workforceOf('a');
    let told = 0;
    const dispose = workforce.onChange(() => {
      told += 1;
    });
    workforce.take('document.search@1');
    expect(told).toBe(0);
    workforce.release(id('a'));
    expect(told).toBe(1);
    dispose();
  });
});
