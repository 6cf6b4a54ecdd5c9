import { describe, expect, test } from 'vitest';
import { QueueMemory } from '../../runtime/tasks/queue-memory.ts';

describe('what is believed of queues', () => {
  test('a queue that answered with less than was asked is dry until a hint or the poll', () => {
    const memory = new QueueMemory();
    memory.answered('x@1', 4, 3, memory.generation('x@1'));
    expect(memory.isDry('x@1')).toBe(true);
    memory.hint('x@1');
    expect(memory.isDry('x@1')).toBe(false);
    memory.answered('x@1', 4, 0, memory.generation('x@1'));
    memory.forget();
    expect(memory.isDry('x@1')).toBe(false);
  });

  test.each([
    ['a hint', (memory: QueueMemory) => memory.hint('x@1')],
    ['the poll', (memory: QueueMemory) => memory.forget()],
  ])('an empty answer that was on its way when %s came dries nothing', (_name, come) => {
    const memory = new QueueMemory();
    const asked = memory.generation('x@1');
    come(memory);
    memory.answered('x@1', 4, 0, asked);
    expect(memory.isDry('x@1')).toBe(false);
  });

  test('asks for more while a queue answers in full, and for little again once it was empty', () => {
    const memory = new QueueMemory();
    const limits = Array.from({ length: 7 }, () => {
      const limit = memory.askLimit('x@1');
      memory.answered('x@1', limit, limit, memory.generation('x@1'));
      return limit;
    });
    expect(limits).toEqual([8, 16, 32, 64, 128, 256, 256]);
    memory.answered('x@1', 256, 10, memory.generation('x@1'));
    expect(memory.askLimit('x@1')).toBe(8);
  });

  test('every queue comes first in its turn', () => {
    const memory = new QueueMemory();
    expect([1, 2, 3, 4].map(() => memory.rotate(['a', 'b', 'c'])[0])).toEqual(['a', 'b', 'c', 'a']);
  });
});
