// Auto: which pattern fits is read off the body of a workflow, by a table of rules; the reason is the first decision of the run.

import { z } from 'zod';
import type { CoordinationStrategy, WorkflowProblem } from '../runtime/contracts/coordination.ts';
import type { WorkflowSpec } from '../runtime/contracts/workflow.ts';
import { dagPlan } from './dag/plan.ts';

interface Selected {
  readonly pattern: string;
  /** Why, for the decision log. */
  readonly rule: string;
}
type Part = 'objective' | 'stages' | 'question' | 'task' | 'goal' | 'tasks';

const invalid = (path: string, message: string): WorkflowProblem => ({ code: 'workflow_invalid', path, message });

const has = {
  objective: ({ objective }: WorkflowSpec) => objective !== undefined,
  stages: ({ stages }: WorkflowSpec) => stages !== undefined,
  question: ({ question }: WorkflowSpec) => question !== undefined,
  task: ({ task }: WorkflowSpec) => task !== undefined,
  goal: ({ goal }: WorkflowSpec) => goal !== undefined,
  tasks: ({ tasks }: WorkflowSpec) => tasks.length > 0,
} as const satisfies Record<Part, (workflow: WorkflowSpec) => boolean>;

/** Parts that say nothing without another one. */
const NEEDS: readonly (readonly [part: 'items' | 'open' | 'voters' | 'coordinator', needs: readonly Part[]])[] = [
  ['items', ['stages']],
  ['open', ['stages']],
  ['voters', ['question', 'task']],
  ['coordinator', ['goal']],
];

function select(workflow: WorkflowSpec): Selected | WorkflowProblem {
  const lonely = NEEDS.find(
    ([part, needs]) => workflow[part] !== undefined && !needs.some((need) => has[need](workflow)),
  );
  if (lonely) {
    const [part, [first = 'tasks', ...others]] = lonely;
    return invalid(
      first,
      `"${part}" without ${[first, ...others].map((need) => `"${need}"`).join(' or ')} fits no pattern`,
    );
  }
  const parts = (Object.keys(has) as Part[]).filter((part) => has[part](workflow));
  const [part, other] = parts;
  if (part === undefined) {
    const message =
      'nothing to choose by: give tasks; stages with items; a goal; a question or task with voters; or an objective';
    return invalid('tasks', message);
  }
  // a question may be asked by a capability of its own: both are of one pattern
  if (other !== undefined && parts.join() !== 'question,task')
    return invalid(other, `"${part}" and "${other}" belong to different patterns; name the one that is meant`);
  return byPart(part, workflow);
}

function byPart(part: Part, workflow: WorkflowSpec): Selected | WorkflowProblem {
  switch (part) {
    case 'objective':
      return { pattern: 'swarm', rule: 'an objective is searched for its best score' };
    case 'stages':
      if (workflow.items === undefined && !workflow.open)
        return invalid('items', 'stages need items, or "open": true for items that come later');
      return { pattern: 'pipeline', rule: 'items pass through stages' };
    case 'question':
    case 'task':
      if (!workflow.voters) return invalid('voters', `a ${part} to decide needs voters, such as { "n": 5 }`);
      return { pattern: 'consensus', rule: 'several answer the same and one decision is made' };
    case 'goal':
      return { pattern: 'hierarchical', rule: 'a goal without tasks is planned by a coordinator' };
    case 'tasks':
      return byTasks(workflow);
  }
}

/** Options of one pattern alone tell that it is meant. */
const OF_AUCTION = ['replyByMs', 'weights', 'noBids', 'maxBidders', 'startByMs'];
const OF_PARALLEL = ['join', 'maxConcurrency'];

function byTasks(workflow: WorkflowSpec): Selected {
  const given = (names: readonly string[]) => names.find((name) => name in workflow.options);
  const bids = given(OF_AUCTION);
  if (bids !== undefined)
    return { pattern: 'auction', rule: `tasks whose cost differs by agent: options.${bids} is of bids` };
  const joint = given(OF_PARALLEL);
  if (joint !== undefined) return { pattern: 'parallel', rule: `options.${joint} is of tasks that run together` };
  const { before, order } = dagPlan(workflow);
  // each waits for the one before it: whatever else they refer to, there is one order only
  const chain = order.every((node, at) => at === 0 || before[node]?.includes(order[at - 1] ?? -1));
  if (chain && order.length === before.length) return { pattern: 'sequential', rule: 'the tasks are one chain' };
  if (before.every((nodes) => nodes.length === 0)) return { pattern: 'parallel', rule: 'no task depends on another' };
  return { pattern: 'parallel', rule: 'the dependencies leave tasks that can run together' };
}

/**
 * Chooses the pattern by what the body holds, then that pattern runs it; `options` are those of the pattern chosen.
 *
 * | the body has | pattern |
 * |---|---|
 * | `objective` | swarm |
 * | `stages` with `items`, or `open` | pipeline |
 * | `question` or `task`, with `voters` | consensus |
 * | `goal` | hierarchical |
 * | `tasks` and an option of auctions (`replyByMs`, `weights`, `noBids`, `maxBidders`, `startByMs`) | auction |
 * | `tasks` and `join` or `maxConcurrency` | parallel |
 * | `tasks` in one chain | sequential |
 * | `tasks` otherwise | parallel |
 *
 * A reference to a result is a dependency too. A body that fits none, or two, is refused with what is missing or doubled.
 */
export const auto: CoordinationStrategy<Record<string, unknown>, null> = {
  name: 'auto',
  revision: 1,
  options: z.record(z.string(), z.unknown()),
  check: (workflow) => {
    const selected = select(workflow);
    return 'code' in selected ? selected : null;
  },
  select,
  start: notRun,
  decide: notRun,
  steps: () => [],
};

function notRun(): never {
  throw new RangeError('the pattern "auto" chooses another one and runs nothing itself');
}
