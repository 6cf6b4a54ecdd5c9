// Questions of a run to people, with the forms to answer them.

import { useSignal } from '@preact/signals';
import type { WorkflowView } from '../../../../runtime/contracts/workflow.ts';
import type { InputView } from '../../../../runtime/contracts/workflow-control.ts';
import { api } from '../../data/client.ts';
import { useResource } from '../../data/resource.ts';
import { mayWork } from '../../data/session.ts';
import { Action } from '../../ui/dialog.tsx';
import { dateTime } from '../../ui/format.ts';
import { Json, Panel } from '../../ui/panel.tsx';
import { runPath } from './run-data.ts';

export function OpenInputs({ run: { id } }: { readonly run: WorkflowView }) {
  const resource = useResource<{ items: readonly InputView[] }>(
    `${runPath(id)}/inputs`,
    { state: 'open' },
    { everyMs: 2_000, on: ['workflow.input', 'workflow.step', 'task.waiting', 'task.answered'] },
  );
  const { data } = resource.state.value;
  const open = data?.items.filter(({ state }) => state === 'open') ?? [];
  if (open.length === 0) return null;
  return (
    <Panel title={open.length === 1 ? 'A person is asked' : `People are asked ${open.length} questions`} class="asks">
      {open.map((input) => (
        <Question
          key={`${input.workflowId}/${input.step}/${input.round}`}
          input={input}
          answered={() => resource.refresh()}
        />
      ))}
    </Panel>
  );
}

interface QuestionProps {
  readonly input: InputView;
  readonly answered: () => Promise<void>;
}

function Question({ input, answered }: QuestionProps) {
  const { step, prompt, context, expiresAt, kind, round, workflowId } = input;
  const send = async (answer: object): Promise<void> => {
    await api.send('POST', `${runPath(workflowId)}/inputs/${encodeURIComponent(step)}`, { ...answer, round });
    await answered();
  };
  return (
    <div class="ask">
      <p class="ask-prompt">{prompt}</p>
      <p class="muted">
        step {step}, until {dateTime(expiresAt)}
      </p>
      {context === undefined ? null : (
        <details>
          <summary>What it is about</summary>
          <Json value={context} />
        </details>
      )}
      {mayWork.value ? (
        kind === 'approval' ? (
          <Approval send={send} />
        ) : (
          <Answer input={input} send={send} />
        )
      ) : (
        <p class="muted">To answer it takes the role operator.</p>
      )}
    </div>
  );
}

type Send = (answer: object) => Promise<void>;

function Approval({ send }: { readonly send: Send }) {
  const comment = useSignal('');
  const words = (
    <label class="form">
      Comment (may be empty)
      <textarea rows={2} value={comment.value} onInput={(event) => (comment.value = event.currentTarget.value)} />
    </label>
  );
  const decide = (approved: boolean) => () => send({ approved, ...(comment.value ? { comment: comment.value } : {}) });
  return (
    <div class="row">
      <Action label="Approve" act={decide(true)} confirm={words} />
      <Action label="Reject" danger act={decide(false)} confirm={words} />
    </div>
  );
}

/** JSON Schema of a single value, as far as a form can be made of it. */
interface Asked {
  readonly type?: unknown;
  readonly enum?: unknown;
}

function Answer({ input, send }: { readonly input: InputView; readonly send: Send }) {
  const { schema } = input;
  const text = useSignal('');
  const choices = Array.isArray((schema as Asked | undefined)?.enum) ? ((schema as Asked).enum as unknown[]) : null;
  const type = (schema as Asked | undefined)?.type;
  const plain = type === 'string' && choices === null;
  const read = (): unknown => {
    if (plain) return text.value;
    try {
      return JSON.parse(text.value);
    } catch {
      throw new Error('That is no JSON. Text goes in "quotation marks".');
    }
  };
  return (
    <div class="form">
      {choices ? (
        <label>
          Answer
          <select value={text.value} onChange={(event) => (text.value = event.currentTarget.value)}>
            <option value="">choose</option>
            {choices.map((choice) => (
              <option key={JSON.stringify(choice)} value={JSON.stringify(choice)}>
                {typeof choice === 'string' ? choice : JSON.stringify(choice)}
              </option>
            ))}
          </select>
        </label>
      ) : (
        <label>
          {plain ? 'Answer' : 'Answer, as JSON'}
          <textarea rows={3} value={text.value} onInput={(event) => (text.value = event.currentTarget.value)} />
        </label>
      )}
      {schema && !plain && !choices ? (
        <details>
          <summary>What it must look like</summary>
          <Json value={schema} />
        </details>
      ) : null}
      <div class="row">
        <Action
          label="Answer"
          disabled={text.value === ''}
          act={async () => send({ value: read() })}
          confirm={<p>The first answer counts; it cannot be changed.</p>}
        />
      </div>
    </div>
  );
}
