// Answers of people: checked against what was asked, then kept with the mail of the run in one commit.

import { z } from 'zod';
import type { CoordinationEvent, HumanRequest } from '../contracts/coordination.ts';
import { RuntimeError, wireError } from '../contracts/errors.ts';
import type { TaskInput } from '../contracts/human-question.ts';
import type { TaskId, WorkflowId } from '../contracts/ids.ts';
import type { AskRow, WorkflowStore } from '../contracts/store.ts';
import { invalidInput, parseInput } from '../contracts/validation.ts';
import { type InputAnswer, type InputView, inputAnswerSchema } from '../contracts/workflow-control.ts';

type Inputs = Pick<WorkflowStore, 'asks' | 'answer'>;

/** Of one step, newest first. */
const MOST_ROUNDS = 500;

export interface Answerer {
  readonly tenant: string;
  readonly by: string | null;
  readonly atMs: number;
}

/** Throws `input_not_found`, `input_closed`, `invalid_input`. */
export async function answerInput(
  store: Inputs,
  workflowId: WorkflowId,
  step: string,
  given: InputAnswer,
  { tenant, by, atMs }: Answerer,
): Promise<InputView> {
  const answer = parseInput(inputAnswerSchema, given);
  const asked = await store.asks({ tenant, workflowId, step, limit: MOST_ROUNDS });
  const matching = asked.filter((ask) => answer.round === undefined || ask.round === answer.round);
  const open = matching.find(({ state }) => state === 'open');
  if (!open) {
    const details = { workflowId, step };
    if (matching.length === 0)
      throw new RuntimeError('input_not_found', `no step "${step}" of this run asks a person`, { details });
    throw inputClosed(workflowId, step);
  }
  const { kind, schema } = open.request;
  const value = answerValue({ kind, schema: schema ?? undefined }, answer);
  const outcome = await store.answer(
    { tenant, workflowId, step, round: open.round },
    { by, value, event: eventOf(open, value, atMs) },
  );
  if (outcome !== 'answered') throw inputClosed(workflowId, step);
  return inputView({ ...open, state: 'answered', value, answeredBy: by, endedAt: new Date(atMs).toISOString() });
}

export const inputClosed = (workflowId: WorkflowId, step: string): RuntimeError =>
  new RuntimeError('input_closed', 'the question was answered, has expired or is no longer asked', {
    details: { workflowId, step },
  });

/** What an answer says to a question. Throws `invalid_input` where it does not fit. */
export function answerValue(
  { kind, schema }: { readonly kind: InputView['kind']; readonly schema?: HumanRequest['schema'] | undefined },
  answer: z.output<typeof inputAnswerSchema>,
): unknown {
  if (kind === 'approval') {
    if (answer.approved === undefined) throw invalidInput('approved', 'an approval takes true or false');
    return { approved: answer.approved, ...(answer.comment === undefined ? {} : { comment: answer.comment }) };
  }
  if (answer.approved !== undefined) throw invalidInput('approved', 'a question takes a value, not an approval');
  const value = answer.value ?? null;
  return schema ? parseInput(schemaOf(schema), value, 'value') : value;
}

/** Throws `workflow_invalid` for what is no JSON Schema. */
export function schemaOf(schema: Readonly<Record<string, unknown>>): z.ZodType {
  try {
    return z.fromJSONSchema(schema as Parameters<typeof z.fromJSONSchema>[0]);
  } catch (cause) {
    throw new RuntimeError('workflow_invalid', 'the schema of the question is no JSON Schema that can be checked', {
      cause,
    });
  }
}

function eventOf({ step, round, request }: AskRow, value: unknown, atMs: number): CoordinationEvent {
  const base = { step, round, atMs, taskId: '', agentId: null, attempts: 1, startedAtMs: null };
  const refused = request.kind === 'approval' && (value as { readonly approved: boolean }).approved === false;
  if (!refused) return { type: 'step.completed', output: value, ...base };
  const { comment } = value as { readonly comment?: string };
  const error = wireError('rejected', comment ? `a person said no: ${comment}` : 'a person said no');
  return { type: 'step.failed', state: 'failed', error, ...base };
}

/** A question of the handler of a step's task; `question` is its number among those of the task. */
export type InputOfTask = InputView & { readonly taskId: TaskId; readonly question: number };

/** Nothing, if the task is no step. */
export function inputOfTask({ workflow, taskId, ...asked }: TaskInput): InputOfTask[] {
  if (!workflow) return [];
  const { id, rootId, step, round } = workflow;
  const answerAt = answerPath(id, step);
  return [{ ...asked, workflowId: id, rootId, step, round, taskId, answeredBy: null, endedAt: null, answerAt }];
}

const answerPath = (workflowId: WorkflowId, step: string): string =>
  `/api/agents/workflows/${workflowId}/inputs/${encodeURIComponent(step)}`;

export function inputView(ask: AskRow): InputView {
  const { request, value, workflowId, step, ...rest } = ask;
  const { kind, prompt, schema, context } = request;
  return {
    ...rest,
    workflowId,
    step,
    kind,
    prompt,
    ...(schema ? { schema: { ...schema } } : {}),
    ...(context === undefined ? {} : { context }),
    ...(rest.state === 'answered' ? { value } : {}),
    answerAt: answerPath(workflowId, step),
  };
}
