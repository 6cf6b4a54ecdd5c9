import { expect, test } from 'vitest';
import { ACTOR_DEFINITION } from '../../runtime/contracts/actor.ts';
import { Registry } from '../../runtime/thread/registry.ts';

const definition = { [ACTOR_DEFINITION]: true, create: () => ({}) };
const ref = (exportName: string) => ({ specifier: 'file:///m.ts', exportName });

test('a module is loaded once, and at hand from then on', async () => {
  let loads = 0;
  const registry = new Registry(async () => {
    loads++;
    return { good: definition };
  });
  expect(await Promise.all([registry.get(ref('good')), registry.get(ref('good'))])).toEqual([definition, definition]);
  expect(registry.get(ref('good'))).toBe(definition);
  expect(loads).toBe(1);
});

test.each([
  ['nothing', {}],
  ['no definition', { bad: { create: () => ({}) } }],
  ['a definition without create', { bad: { [ACTOR_DEFINITION]: true } }],
  ['null', { bad: null }],
])('an export that is %s is not_a_module', async (_name, exports) => {
  await expect(new Registry(async () => exports).get(ref('bad'))).rejects.toMatchObject({ code: 'not_a_module' });
});

test('a load that failed is tried again', async () => {
  let loads = 0;
  const registry = new Registry(async () => {
    if (++loads === 1) throw new Error('disk');
    return { good: definition };
  });
  await expect(registry.get(ref('good'))).rejects.toMatchObject({ code: 'not_a_module', message: /disk/ });
  expect(await registry.get(ref('good'))).toBe(definition);
});
