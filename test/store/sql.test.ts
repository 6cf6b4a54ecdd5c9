// Statements and their names.

import { describe, expect, test } from 'vitest';
import { sql } from '../../runtime/store/sql.ts';

describe('the name of a statement', () => {
  test('is what it is prepared under', () => {
    expect(sql('task_get', 'SELECT $1', 1)).toEqual({ name: 'task_get', text: 'SELECT $1', params: [1] });
  });

  test.each(['workflow.step', 'Task', '1st', '', 'x'.repeat(63), 'a b'])(
    'is refused where it is no identifier: %j',
    (name) => {
      expect(() => sql(name, 'SELECT 1')).toThrow(TypeError);
    },
  );
});
