// Open questions of a run to people, with the forms to answer them.

import type { WorkflowView } from '../../../../runtime/contracts/workflow.ts';
import type { InputView } from '../../../../runtime/contracts/workflow-control.ts';
import { useResource } from '../../data/resource.ts';
import { Panel } from '../../ui/panel.tsx';
import { QuestionForm, questionKey } from '../../ui/question.tsx';
import { runPath } from './run-data.ts';

export function OpenInputs({ run: { id } }: { readonly run: WorkflowView }) {
  const resource = useResource<{ items: readonly InputView[] }>(
    `${runPath(id)}/inputs`,
    { state: 'open' },
    { everyMs: 2_000, on: ['workflow.input', 'workflow.step', 'task.waiting', 'task.answered'] },
  );
  const open = resource.state.value.data?.items.filter(({ state }) => state === 'open') ?? [];
  if (open.length === 0) return null;
  return (
    <Panel title={open.length === 1 ? 'A person is asked' : `People are asked ${open.length} questions`} class="asks">
      {open.map((input) => (
        <QuestionForm key={questionKey(input)} question={input} onAnswered={() => void resource.refresh()} />
      ))}
    </Panel>
  );
}
