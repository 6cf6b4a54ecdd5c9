// Agents of one capability in a cell of the test's own, and what their tests wait on.

import { capability } from '../../actors/agent/capability.ts';
import { defineAgent } from '../../actors/agent/define-agent.ts';
import { z } from '../../actors/index.ts';
import type { ActorDefinition, CellBehavior } from '../../runtime/contracts/actor.ts';
import { RuntimeError } from '../../runtime/contracts/errors.ts';
import { FakeCell, type FakeCellOptions } from './fake-cell.ts';

/** A promise that the test resolves: handlers wait on it. */
export function gate<T = void>(): { readonly passed: Promise<T>; open(value: T): void } {
  let open: (value: T) => void = () => undefined;
  const passed = new Promise<T>((resolve) => {
    open = resolve;
  });
  return { passed, open: (value) => open(value) };
}

export async function started(
  definition: ActorDefinition,
  options: FakeCellOptions = {},
): Promise<{ cell: FakeCell; agent: Required<CellBehavior> }> {
  const cell = new FakeCell(options);
  const agent = definition.create(cell) as Required<CellBehavior>;
  await agent.start();
  return { cell, agent };
}

/** The signal of a cell that keeps the time of an attempt. */
export function timeLimit(cell: FakeCell, timeoutMs: number): AbortSignal {
  const controller = new AbortController();
  cell.clock.setTimeout(() => controller.abort(new RuntimeError('task_timeout', 'its time is over')), timeoutMs);
  return controller.signal;
}

export const path = (cell: FakeCell): string => ['created', ...cell.transitions.map(({ to }) => to)].join(' ');

/** An agent with one capability that does what the test says. */
export function worker(
  handle: (input: { n: number }, ctx: { signal: AbortSignal; attempt: number }) => unknown,
  more: object = {},
): ActorDefinition {
  return defineAgent({
    type: 'worker',
    capabilities: {
      'work.do': capability({
        version: 1,
        input: z.object({ n: z.number() }),
        output: z.object({ doubled: z.number() }),
        handle: handle as (input: { n: number }) => { doubled: number },
      }),
    },
    ...more,
  });
}
export const doubling = (more: object = {}) => worker(({ n }) => ({ doubled: n * 2 }), more);
