import fc from 'fast-check';
import { expect, test } from 'vitest';
import { Queue } from '../../runtime/transport/queue.ts';

test('a queue behaves like an array under any run of operations', () => {
  const operation = fc.oneof(
    fc.record({ op: fc.constant('push' as const), item: fc.integer() }),
    fc.record({ op: fc.constant('unshift' as const), item: fc.integer() }),
    fc.record({ op: fc.constantFrom('shift' as const, 'drain' as const), item: fc.constant(0) }),
  );
  fc.assert(
    fc.property(fc.array(operation, { maxLength: 200 }), (operations) => {
      const queue = new Queue<number>();
      let model: number[] = [];
      for (const { op, item } of operations) {
        if (op === 'push') {
          queue.push(item);
          model.push(item);
        } else if (op === 'unshift') {
          queue.unshift(item);
          model.unshift(item);
        } else if (op === 'shift') expect(queue.shift()).toBe(model.shift());
        else {
          expect(queue.drain()).toEqual(model);
          model = [];
        }
        expect(queue.length).toBe(model.length);
        expect([queue.at(0), queue.at(model.length - 1), queue.at(model.length)]).toEqual([
          model[0],
          model[model.length - 1],
          undefined,
        ]);
      }
    }),
  );
});
