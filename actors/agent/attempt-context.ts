// The view that the handler of a task has: one per attempt.

import type { DurableTell, TellResult } from '../../runtime/contracts/envelope.ts';
import { RuntimeError, TaskError, toWireError } from '../../runtime/contracts/errors.ts';
import {
  type AskHuman,
  answerSchemaOf,
  type HumanQuestion,
  humanQuestionSchema,
} from '../../runtime/contracts/human-question.ts';
import type { AgentId } from '../../runtime/contracts/ids.ts';
import type { FanOut, Selector } from '../../runtime/contracts/messages.ts';
import type { HandoffOutcome, TaskAssignment } from '../../runtime/contracts/task.ts';
import { traceIdOf } from '../../runtime/contracts/tracing.ts';
import { type TaskUsage, usageSchema } from '../../runtime/contracts/usage.ts';
import { parseInput } from '../../runtime/contracts/validation.ts';
import { type AgentCore, logOf } from './agent-core.ts';
import type { AgentLog, TaskContext } from './context.ts';
import { CoreContext } from './core-context.ts';

const MAX_QUESTIONS = 100;
const reportSchema = usageSchema.omit({ calls: true });

export class AttemptContext extends CoreContext implements TaskContext {
  readonly #task: TaskAssignment;
  readonly #signal: AbortSignal;

  constructor(core: AgentCore, task: TaskAssignment, signal: AbortSignal) {
    super(core);
    this.#task = task;
    this.#signal = signal;
  }

  override get signal(): AbortSignal {
    return this.#signal;
  }
  get taskId(): string {
    return this.#task.taskId;
  }
  get attempt(): number {
    return this.#task.attempt;
  }
  get capability(): string {
    return this.#task.capability;
  }
  get timeoutMs(): number {
    return this.#task.timeoutMs;
  }
  get idempotencyKey(): string {
    return this.#task.idempotencyKey;
  }
  get workflowId(): string | undefined {
    return this.#task.workflowId;
  }
  get stepKey(): string | undefined {
    return this.#task.stepKey;
  }
  get traceparent(): string | undefined {
    return this.#task.traceparent;
  }

  #log: AgentLog | undefined;

  override get log(): AgentLog {
    if (this.#log) return this.#log;
    const { taskId, attempt, workflowId, traceparent } = this.#task;
    const traceId = traceIdOf(traceparent);
    this.#log = logOf(this.core.cell, {
      ...{ taskId, attempt },
      ...(workflowId === undefined ? {} : { workflowId }),
      ...(traceId === undefined ? {} : { traceId }),
    });
    return this.#log;
  }

  #reported: { tokens?: number; cost?: number; messages?: number } | undefined;
  #sent = 0;

  /** What was used so far; undefined: nothing. */
  get used(): TaskUsage | undefined {
    if (this.#sent === 0) return this.#reported;
    return { ...this.#reported, messages: this.#sent + (this.#reported?.messages ?? 0) };
  }

  usage(used: TaskUsage): void {
    const { tokens, cost, messages } = parseInput(reportSchema, used, 'usage');
    const sum = this.#reported ?? {};
    if (tokens) sum.tokens = tokens + (sum.tokens ?? 0);
    if (cost) sum.cost = cost + (sum.cost ?? 0);
    if (messages) sum.messages = messages + (sum.messages ?? 0);
    if (!tokens && !cost && !messages) return;
    this.#reported = sum;
    // should this attempt be lost, what is known by then counts
    const { taskId, fence } = this.#task;
    const usage = { ...this.used };
    this.core.cell.request({ type: 'task.usage', taskId, fence, usage }).catch((error) => {
      this.log.debug('what was used was not taken', { error: toWireError(error).message });
    });
  }

  override tell(to: AgentId, type: string, body?: unknown): void;
  override tell(to: AgentId, type: string, body: unknown, options: DurableTell): Promise<void>;
  override tell(to: AgentId, type: string, body?: unknown, options?: DurableTell): void | Promise<void> {
    this.#sent++;
    if (options?.durable) return this.tellDurably(to, type, body, options);
    super.tell(to, type, body);
  }
  override tellConfirmed(to: AgentId, type: string, body?: unknown): Promise<TellResult> {
    this.#sent++;
    return super.tellConfirmed(to, type, body);
  }
  override ask(...question: Parameters<CoreContext['ask']>): Promise<unknown> {
    this.#sent++;
    return super.ask(...question);
  }
  override publish(topic: string, type: string, body?: unknown): Promise<FanOut> {
    this.#sent++;
    return super.publish(topic, type, body);
  }
  override broadcast(channel: string, type: string, body?: unknown): Promise<FanOut> {
    this.#sent++;
    return super.broadcast(channel, type, body);
  }
  override multicast(select: Selector, type: string, body?: unknown): Promise<FanOut> {
    this.#sent++;
    return super.multicast(select, type, body);
  }

  /** Where its handler has given it, if it has. */
  handedTo: Omit<HandoffOutcome, 'runMs'> | undefined;

  handoff(to: string | { readonly capability: string }, input?: unknown, reason?: string): never {
    this.handedTo ??= {
      type: 'handed_off',
      to: typeof to === 'string' ? { agent: to } : { capability: to.capability },
      ...(input === undefined ? {} : { input: { value: input } }),
      ...(reason === undefined ? {} : { reason }),
    };
    throw new RuntimeError('handler_failed', 'the handler has handed its task on');
  }

  #asked = 0;
  #question: HumanQuestion | undefined;

  /** How the handler has left its task to others, if it has; the first way counts. */
  get left():
    | Omit<HandoffOutcome, 'runMs'>
    | { readonly type: 'waiting'; readonly question: HumanQuestion }
    | undefined {
    return this.handedTo ?? (this.#question && { type: 'waiting', question: this.#question });
  }

  async askHuman(asked: AskHuman): Promise<unknown> {
    const at = this.#asked++;
    const question = parseInput(humanQuestionSchema, asked, 'askHuman');
    if (question.schema) answerSchemaOf(question.schema);
    const answer = this.#task.answers?.[at];
    if (answer) {
      if ('expired' in answer) throw new RuntimeError('input_expired', `nobody answered in time: ${question.prompt}`);
      return answer.value;
    }
    if (at >= MAX_QUESTIONS)
      throw new TaskError('question_limit', `the task asks more than ${MAX_QUESTIONS} questions`, { retryable: false });
    this.#question ??= question;
    throw new RuntimeError('handler_failed', 'the handler waits for a person');
  }

  progress(progress: unknown): void {
    const { taskId, fence } = this.#task;
    this.core.cell
      .request({ type: 'task.progress', taskId, fence, progress })
      .catch((error) => this.log.warn('progress was not taken', { error: toWireError(error).message }));
  }
}
