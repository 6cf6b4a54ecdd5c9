// A question to a person and the form that answers it: approve or reject, or a value that fits the schema of the question.

import { useSignal } from '@preact/signals';
import { useId } from 'preact/hooks';
import type { TaskInput } from '../../../runtime/contracts/human-question.ts';
import type { InputView } from '../../../runtime/contracts/workflow-control.ts';
import { api } from '../data/client.ts';
import { mayWork } from '../data/session.ts';
import { when } from './format.ts';
import './question.css';

export type Question = InputView | TaskInput;

export function questionKey(question: Question): string {
  return question.kind === 'input' && 'question' in question
    ? `${question.taskId}/${question.question}`
    : `${(question as InputView).workflowId}/${(question as InputView).step}/${(question as InputView).round}`;
}

interface QuestionProps {
  readonly question: Question;
  /** Called when the answer is taken. */
  readonly onAnswered: () => void;
}

export function QuestionForm({ question, onAnswered }: QuestionProps) {
  const busy = useSignal(false);
  const failed = useSignal<string | null>(null);
  const post = async (answer: Record<string, unknown>): Promise<void> => {
    busy.value = true;
    failed.value = null;
    try {
      const path = question.answerAt.slice(question.answerAt.indexOf('/api/'));
      await api.send('POST', path, { ...answer, ...guardOf(question) });
      onAnswered();
    } catch (error) {
      failed.value = (error as Error).message;
    } finally {
      busy.value = false;
    }
  };
  const blocked = busy.value || !mayWork.value;
  return (
    <article class="question">
      <p class="question-prompt">{question.prompt}</p>
      <p class="muted">
        {'step' in question ? `Step ${question.step} · ` : ''}asked {when(question.askedAt)}, open until{' '}
        {when(question.expiresAt)}
      </p>
      {'context' in question && question.context !== undefined && question.context !== null ? (
        <pre class="question-context">{JSON.stringify(question.context, null, 2)}</pre>
      ) : null}
      {question.kind === 'approval' ? (
        <Approval blocked={blocked} post={post} />
      ) : (
        <Value blocked={blocked} schema={question.schema ?? {}} post={post} />
      )}
      {mayWork.value ? null : <p class="muted">Answering needs an operator or an admin.</p>}
      {failed.value === null ? null : (
        <p class="question-error" role="alert">
          {failed.value}
        </p>
      )}
    </article>
  );
}

/** Keeps an answer from being taken for a later question. */
function guardOf(question: Question): Record<string, unknown> {
  if ('question' in question) return { question: question.question };
  return question.taskId === undefined ? { round: question.round } : {};
}

interface FormProps {
  readonly blocked: boolean;
  readonly post: (answer: Record<string, unknown>) => Promise<void>;
}

function Approval({ blocked, post }: FormProps) {
  const comment = useSignal('');
  const answer = (approved: boolean) =>
    void post({ approved, ...(comment.value === '' ? {} : { comment: comment.value }) });
  return (
    <div class="row">
      <input
        aria-label="Comment"
        placeholder="Comment (optional)"
        disabled={blocked}
        value={comment.value}
        onInput={(event) => {
          comment.value = event.currentTarget.value;
        }}
      />
      <button type="button" class="primary" disabled={blocked} onClick={() => answer(true)}>
        Approve
      </button>
      <button type="button" class="danger" disabled={blocked} onClick={() => answer(false)}>
        Reject
      </button>
    </div>
  );
}

type Schema = Readonly<Record<string, unknown>>;

function Value({ blocked, schema, post }: FormProps & { readonly schema: Schema }) {
  const wrong = useSignal<string | null>(null);
  const submit = (event: SubmitEvent): void => {
    event.preventDefault();
    const form = new FormData(event.currentTarget as HTMLFormElement);
    try {
      const value = readValue(schema, form);
      wrong.value = null;
      void post({ value });
    } catch (error) {
      wrong.value = (error as Error).message;
    }
  };
  return (
    <form class="row question-form" onSubmit={submit}>
      {fieldsOf(schema).map(([name, field]) => (
        <Field key={name} name={name} schema={field} blocked={blocked} />
      ))}
      <button type="submit" class="primary" disabled={blocked}>
        Answer
      </button>
      {wrong.value === null ? null : <p class="question-error">{wrong.value}</p>}
    </form>
  );
}

function Field({
  name,
  schema,
  blocked,
}: {
  readonly name: string;
  readonly schema: Schema;
  readonly blocked: boolean;
}) {
  const id = useId();
  const label = name === '' ? 'Answer' : name;
  const common = { id, name: name || 'value', disabled: blocked };
  return (
    <label for={id} class="question-field">
      <span>{label}</span>
      {Array.isArray(schema.enum) ? (
        <select {...common}>
          {schema.enum.map((one) => (
            <option key={String(one)} value={JSON.stringify(one)}>
              {String(one)}
            </option>
          ))}
        </select>
      ) : schema.type === 'boolean' ? (
        <input {...common} type="checkbox" />
      ) : schema.type === 'number' || schema.type === 'integer' ? (
        <input {...common} type="number" step={schema.type === 'integer' ? 1 : 'any'} required />
      ) : schema.type === 'string' ? (
        <input {...common} />
      ) : (
        <textarea {...common} rows={3} placeholder="JSON" class="mono" />
      )}
    </label>
  );
}

/** An object of simple values is asked field by field, everything else as one value. */
function fieldsOf(schema: Schema): readonly (readonly [string, Schema])[] {
  const properties = schema.properties as Readonly<Record<string, Schema>> | undefined;
  return schema.type === 'object' && properties && Object.keys(properties).length > 0
    ? Object.entries(properties)
    : [['', schema]];
}

function readValue(schema: Schema, form: FormData): unknown {
  const fields = fieldsOf(schema);
  const [only] = fields;
  if (fields.length === 1 && only?.[0] === '') return readField(only[1], form.get('value'));
  return Object.fromEntries(
    fields.map(([name, field]) => [name, readField(field, form.get(name))]).filter(([, value]) => value !== undefined),
  );
}

function readField(schema: Schema, given: FormDataEntryValue | null): unknown {
  if (schema.type === 'boolean' && !Array.isArray(schema.enum)) return given !== null;
  const text = String(given ?? '');
  if (schema.type === 'string' && !Array.isArray(schema.enum)) return text;
  if (text.trim() === '') return undefined;
  if (schema.type === 'number' || schema.type === 'integer') return Number(text);
  try {
    return JSON.parse(text) as unknown;
  } catch {
    // Most answers are words, and a word needs no quotes.
    if (/^[\s]*[[{"]/.test(text)) throw new Error('This is no JSON.');
    return text;
  }
}
