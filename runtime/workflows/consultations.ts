// What a run asks of the directory and of agents outside any task: who offers a capability, what they would take for it. The answers are
// mail of the run like any other; what was asked and not answered is asked again by whoever holds the run.

import type { CoordinationEvent } from '../contracts/coordination.ts';
import { toWireError } from '../contracts/errors.ts';
import type { WorkflowId } from '../contracts/ids.ts';
import type { Coordinator } from './coordinator.ts';
import type { RunLoopParts } from './ports.ts';
import type { OpenCall, RunMemory } from './run-memory.ts';

/** A directory that cannot answer is asked again after this long. */
const AGAIN_MS = 1_000;

type Parts = Pick<RunLoopParts, 'store' | 'bidders' | 'ambient'>;

export class Consultations {
  readonly #parts: Parts;
  readonly #told: (id: WorkflowId) => void;
  readonly #again: (id: WorkflowId) => void;
  /** Under way here, so that the next decision of the run does not ask twice. */
  readonly #asked = new Map<WorkflowId, Set<string>>();
  /** Calls that are open here, with what stops the look at their time limit. */
  readonly #open = new Map<WorkflowId, Map<string, () => void>>();

  /** `told`: there is mail for the run; `again`: what is open should be asked again. */
  constructor(parts: Parts, told: (id: WorkflowId) => void, again: (id: WorkflowId) => void) {
    this.#parts = parts;
    this.#told = told;
    this.#again = again;
  }

  forget(id: WorkflowId): void {
    this.#asked.delete(id);
    for (const stop of this.#open.get(id)?.values() ?? []) stop();
    this.#open.delete(id);
  }

  /** Asks what is open and not under way, and lets go of what is closed. Most runs ask nothing. */
  go({ id, tenant }: Coordinator, memory: RunMemory): void {
    if (memory.finds.length === 0 && memory.calls.length === 0 && !this.#open.has(id)) return;
    const asked = this.#asked.get(id) ?? new Set<string>();
    const once = (name: string, ask: () => Promise<void>): void => {
      if (asked.has(name)) return;
      asked.add(name);
      void ask();
    };
    for (const { key, capability } of memory.finds) once(`find/${key}`, () => this.#find(id, tenant, key, capability));
    for (const call of memory.calls) {
      for (const agentId of call.agents) {
        if (!call.answered.includes(agentId))
          once(`bid/${call.step}/${call.round}/${agentId}`, () => this.#bid(id, tenant, call, agentId));
      }
    }
    this.#asked.set(id, asked);
    this.#watch(id, memory.calls);
  }

  /** A call is closed by a timer in the store. Looked for as soon as it is due: nobody need wait for the next poll, and no bid slips in. */
  #watch(id: WorkflowId, calls: RunMemory['calls']): void {
    const { clock } = this.#parts.ambient;
    const known = this.#open.get(id) ?? new Map<string, () => void>();
    const open = new Map(calls.map((call) => [`${call.step}/${call.round}`, call]));
    for (const [name, stop] of known) {
      if (open.has(name)) continue;
      stop();
      known.delete(name);
    }
    for (const [name, { replyByMs }] of open) {
      if (!known.has(name))
        known.set(
          name,
          clock.setTimeout(() => void this.#fireDue(), replyByMs),
        );
    }
    if (known.size > 0) this.#open.set(id, known);
    else this.#open.delete(id);
  }

  async #fireDue(): Promise<void> {
    try {
      for (const id of await this.#parts.store.fireTimers()) this.#told(id);
    } catch (error) {
      // the chore that fires timers will
      this.#parts.ambient.log.warn('timers could not be fired', { error: toWireError(error).message });
    }
  }

  async #find(id: WorkflowId, tenant: string, key: string, capability: string): Promise<void> {
    try {
      const agents = await this.#parts.bidders.offering(capability, tenant);
      await this.#post(id, tenant, `found/${key}`, { type: 'found', atMs: this.#nowMs(), key, agents });
    } catch (error) {
      this.#parts.ambient.log.warn('cannot look for agents', { workflowId: id, error: toWireError(error).message });
      this.#parts.ambient.clock.setTimeout(() => {
        if (this.#asked.get(id)?.delete(`find/${key}`)) this.#again(id);
      }, AGAIN_MS);
    }
  }

  async #bid(id: WorkflowId, tenant: string, call: OpenCall, agentId: string): Promise<void> {
    const { step, round, capability, input, replyByMs } = call;
    const { clock } = this.#parts.ambient;
    const askedAtMs = clock.monotonicMs();
    const answer = await this.#parts.bidders
      .bid(agentId, { capability, input, replyByMs: this.#nowMs() + replyByMs }, { tenant, timeoutMs: 2 * replyByMs })
      .then(
        (bid) => ({ bid }),
        (error: unknown) => ({ bid: null, error: toWireError(error) }),
      );
    // Late: what closes the call goes into the mail before the bid.
    if (clock.monotonicMs() - askedAtMs >= replyByMs) await this.#fireDue();
    const event: CoordinationEvent = { type: 'bid', atMs: this.#nowMs(), step, round, agentId, ...answer };
    await this.#post(id, tenant, `bid/${step}/${round}/${agentId}`, event).catch((error: unknown) => {
      // Unheard: the strategy's timer closes the call without it.
      this.#parts.ambient.log.warn('a bid could not be kept', { workflowId: id, error: toWireError(error).message });
    });
  }

  async #post(id: WorkflowId, tenant: string, eventId: string, event: CoordinationEvent): Promise<void> {
    if (await this.#parts.store.post(id, tenant, eventId, event)) this.#told(id);
  }

  #nowMs(): number {
    return this.#parts.ambient.clock.nowMs();
  }
}
