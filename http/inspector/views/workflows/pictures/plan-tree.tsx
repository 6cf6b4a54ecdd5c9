// The plan of a hierarchical run: goal, rounds, subtasks, and the plans of runs inside. A list in lists, so that it reads without being seen.

import { StateBadge } from '../../../ui/badge.tsx';
import { plural } from '../../../ui/format.ts';
import { Empty } from '../../../ui/states.tsx';
import { countTasks, type PlanNode, type PlanPicture } from './model.ts';

export function PlanTree({ plan: { root, turns, limit, cut } }: { readonly plan: PlanPicture }) {
  const tasks = countTasks(root);
  return (
    <>
      <p class="plan-goal">{root.title}</p>
      <p class="note">
        {plural(turns, 'turn')} of the coordinator, {plural(root.children.length, 'round')}, {plural(tasks, 'subtask')}
        {limit === null ? '' : `; stopped by ${limit}`}
        {cut ? '; the tree is cut at 500 subtasks' : ''}.
      </p>
      {root.children.length === 0 ? (
        <Empty title="There is no plan yet">The coordinator makes it in its first turn.</Empty>
      ) : null}
      <ul class="plan">
        {root.children.map((node) => (
          <Branch key={node.id} node={node} />
        ))}
      </ul>
    </>
  );
}

function Branch({ node }: { readonly node: PlanNode }) {
  const inside = node.children;
  const head = (
    <span class={`plan-head plan-${node.kind}`}>
      <strong>{node.title}</strong>
      {node.note ? <span class="muted">{node.note}</span> : null}
      {node.state ? <StateBadge state={node.state} /> : null}
      {node.error ? <span class="plan-error">{node.error.replaceAll('_', ' ')}</span> : null}
    </span>
  );
  return (
    <li class="plan-node">
      {inside.length === 0 ? (
        head
      ) : (
        <details open>
          <summary>{head}</summary>
          <ul class="plan">
            {inside.map((child) => (
              <Branch key={child.id} node={child} />
            ))}
          </ul>
        </details>
      )}
    </li>
  );
}
