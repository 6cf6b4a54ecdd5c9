// Acting on a run from outside: everything is mail of the run, and its coordinator takes it in its turn.

import type { CoordinationEvent } from '../contracts/coordination.ts';
import { RuntimeError, toWireError } from '../contracts/errors.ts';
import type { WorkflowId } from '../contracts/ids.ts';
import type { CallContext, WorkflowsApi } from '../contracts/runtime.ts';
import type { WorkflowRow } from '../contracts/store.ts';
import { parseInput } from '../contracts/validation.ts';
import { isTerminalWorkflow, type WorkflowState, type WorkflowView } from '../contracts/workflow.ts';
import {
  type AppendItems,
  appendItemsSchema,
  type InputAnswer,
  type InputView,
  inputAnswerSchema,
  type WorkflowSignal,
  workflowSignalSchema,
} from '../contracts/workflow-control.ts';
import { definitionOf, type Strategies } from './definition.ts';
import { answerInput, answerValue, type InputOfTask, inputClosed, inputOfTask, inputView } from './human-inputs.ts';
import type { RunLoopParts } from './ports.ts';
import type { RunLoop } from './run-loop.ts';
import type { RunReader } from './run-reader.ts';

const LIST_LIMIT = 50;
const LARGEST_LIST = 500;

export class RunControl {
  readonly #parts: RunLoopParts;
  readonly #strategies: Strategies;
  readonly #loop: RunLoop;
  readonly #reader: RunReader;

  constructor(parts: RunLoopParts, strategies: Strategies, loop: RunLoop, reader: RunReader) {
    this.#parts = parts;
    this.#strategies = strategies;
    this.#loop = loop;
    this.#reader = reader;
  }

  /** Throws `workflow_state`. */
  async start(row: WorkflowRow): Promise<WorkflowRow> {
    const result = await this.#parts.store.start(row.id, row.tenant, row.spec.seed);
    if (result.outcome === 'not_found') throw wrongState(row.id, row.status);
    if (result.outcome === 'wrong_state') throw wrongState(row.id, result.status);
    this.#parts.feed.publish(result.events);
    return result.row;
  }

  /** Reaches every step in flight and every run below. Idempotent; a run that ended otherwise is `workflow_state`. */
  async cancel(id: string, call: CallContext): Promise<WorkflowView> {
    const { ambient } = this.#parts;
    const row = await this.#reader.row(id, call);
    if (row.status === 'cancelled') return this.#reader.get(row.id, call);
    if (isTerminalWorkflow(row.status)) throw wrongState(row.id, row.status);
    // A run that never started is started and cancelled in one decision: nothing of it runs, and it ends like any other.
    const begun = row.status === 'created' ? await this.start(row).catch(ignoreState) : undefined;
    await this.#post(row, 'cancel', { type: 'cancel', atMs: ambient.clock.nowMs(), reason: 'user' });
    if (begun) this.#loop.begin(begun, definitionOf(this.#strategies, begun));
    this.#hint(row.id);
    return this.#reader.wait(row.id, { timeoutMs: 2 * this.#parts.pollMs }, call);
  }

  /** The run and all below: a pause that left children running would pause nothing. Resolves when the run itself has taken it. */
  async setPaused(id: string, type: 'pause' | 'resume', call: CallContext): Promise<WorkflowView> {
    const { store, ambient } = this.#parts;
    const row = await this.#reader.row(id, call);
    const wanted = type === 'pause' ? 'paused' : 'running';
    if (row.status !== 'running' && row.status !== 'paused') throw wrongState(row.id, row.status);
    const event = { type, atMs: ambient.clock.nowMs() } as const;
    const name = `${type}/${ambient.newId('message')}`;
    const ids = [row.id, ...(await store.openDescendants(row.id))];
    await Promise.all(ids.map((one) => store.post(one, row.tenant, name, event)));
    for (const one of ids) this.#hint(one);
    return this.#reader.until(row.id, ({ status }) => status === wanted || isTerminalWorkflow(status), call);
  }

  async signal(id: string, body: WorkflowSignal, call: CallContext): Promise<void> {
    const { key, value = null, id: signalId } = parseInput(workflowSignalSchema, body);
    const row = await this.#running(id, call);
    const { clock } = this.#parts.ambient;
    await this.#post(row, this.#eventId('signal', signalId), { type: 'input', atMs: clock.nowMs(), key, value });
    this.#hint(row.id);
  }

  async append(id: string, body: AppendItems, call: CallContext): Promise<void> {
    const { items, end, id: batchId } = parseInput(appendItemsSchema, body);
    const row = await this.#running(id, call);
    if (row.spec.open !== true)
      throw new RuntimeError('workflow_state', 'the run takes no more items: it was not created with open: true', {
        details: { workflowId: row.id, status: row.status },
      });
    const { clock } = this.#parts.ambient;
    await this.#post(row, this.#eventId('items', batchId), { type: 'items', atMs: clock.nowMs(), items, end });
    this.#hint(row.id);
  }

  async inputs(filter: Parameters<WorkflowsApi['inputs']>[0], { tenant }: CallContext): Promise<readonly InputView[]> {
    const { workflowId, state, limit = LIST_LIMIT } = filter;
    if (workflowId !== undefined) await this.#reader.row(workflowId, { tenant });
    const wanted = {
      limit: Math.max(1, Math.min(LARGEST_LIST, Math.floor(limit))),
      ...(workflowId === undefined ? {} : { workflowId: workflowId as WorkflowId }),
    };
    const { store, tasks } = this.#parts;
    const [ofSteps, ofTasks] = await Promise.all([
      store.asks({ tenant, ...wanted, ...(state === undefined ? {} : { state }) }),
      state === undefined || state === 'open' ? tasks.openInputs(tenant, { ofSteps: true, ...wanted }) : [],
    ]);
    return [...ofSteps.map(inputView), ...ofTasks.flatMap(inputOfTask)]
      .sort((a, b) => Date.parse(b.askedAt) - Date.parse(a.askedAt))
      .slice(0, wanted.limit);
  }

  async answer(id: string, step: string, answer: InputAnswer, call: CallContext): Promise<InputView> {
    const row = await this.#reader.row(id, call);
    const by = { tenant: row.tenant, by: call.subject ?? null, atMs: this.#parts.ambient.clock.nowMs() };
    const asked = await this.#askedByTask(row, step);
    if (asked) return this.#answerTask(asked, answer, call);
    const view = await answerInput(this.#parts.store, row.id, step, answer, by);
    this.#hint(row.id);
    return view;
  }

  /** The one question that the handler of the step's task has open. */
  async #askedByTask({ id, tenant }: WorkflowRow, step: string): Promise<InputOfTask | undefined> {
    const [asked] = await this.#parts.tasks.openInputs(tenant, { workflowId: id, step, limit: 1 });
    return asked && inputOfTask(asked)[0];
  }

  async #answerTask(asked: InputOfTask, given: InputAnswer, call: CallContext): Promise<InputView> {
    const answer = parseInput(inputAnswerSchema, given);
    if (answer.round !== undefined && answer.round !== asked.round) throw inputClosed(asked.workflowId, asked.step);
    const value = answerValue(asked, answer);
    await this.#parts.answerTask(asked.taskId, { value, question: asked.question }, call);
    const { question, ...view } = asked;
    const { clock } = this.#parts.ambient;
    const endedAt = new Date(clock.nowMs()).toISOString();
    return { ...view, state: 'answered', value, answeredBy: call.subject ?? null, endedAt };
  }

  async #running(id: string, call: CallContext) {
    const row = await this.#reader.row(id, call);
    if (row.status === 'created' || isTerminalWorkflow(row.status)) throw wrongState(row.id, row.status);
    return row;
  }

  /** Mail of a run; it may have ended meanwhile. */
  async #post(row: WorkflowRow, eventId: string, event: CoordinationEvent): Promise<void> {
    if (await this.#parts.store.post(row.id, row.tenant, eventId, event)) return;
    const { status } = await this.#reader.row(row.id, { tenant: row.tenant });
    if (event.type !== 'cancel') throw wrongState(row.id, status);
  }

  #eventId(kind: string, given: string | undefined): string {
    return `${kind}/${given ?? this.#parts.ambient.newId('message')}`;
  }

  #hint(id: WorkflowId): void {
    this.#loop.poke(id);
    this.#parts.bus.publish({ type: 'workflow', workflowId: id });
  }
}

const wrongState = (id: string, status: WorkflowState): RuntimeError =>
  new RuntimeError('workflow_state', `the workflow is ${status}`, { details: { workflowId: id, status } });

/** Somebody else started it meanwhile: then the cancel finds it running. */
function ignoreState(error: unknown): undefined {
  if (toWireError(error).code !== 'workflow_state') throw error;
}
