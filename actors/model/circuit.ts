// A circuit breaker (Nygard, Release It!): after a run of failures calls fail at once, until one probe succeeds.
// States: closed -> open (failures) -> half-open (after openMs, one probe) -> closed or open.

import { RuntimeError } from '../../runtime/contracts/errors.ts';
import { modelUnavailable } from './model-client.ts';

export interface CircuitOptions {
  /** Failures in a row that open it. Default 5. */
  readonly maxFailures?: number;
  /** How long it stays open before one call may probe. Default 10,000. */
  readonly openMs?: number;
  /** Monotonic milliseconds. */
  readonly nowMs: () => number;
}

export type CircuitState = 'closed' | 'open' | 'half-open';

/** Only `model_unavailable` counts as a failure: a missing model or a cancelled call says nothing about the server. */
export class Circuit {
  readonly #maxFailures: number;
  readonly #openMs: number;
  readonly #nowMs: () => number;
  #failures = 0;
  #openedAt: number | undefined;
  #probing = false;

  constructor(options: CircuitOptions) {
    this.#maxFailures = options.maxFailures ?? 5;
    this.#openMs = options.openMs ?? 10_000;
    this.#nowMs = options.nowMs;
  }

  state(): CircuitState {
    if (this.#openedAt === undefined) return 'closed';
    return this.#nowMs() - this.#openedAt >= this.#openMs ? 'half-open' : 'open';
  }

  /** Runs `call`, or rejects at once with `model_unavailable` (details.reason `circuit_open`). */
  async run<T>(call: () => Promise<T>): Promise<T> {
    const state = this.state();
    if (state === 'open' || (state === 'half-open' && this.#probing)) {
      throw modelUnavailable(
        'circuit_open',
        `the model server failed ${this.#failures} times in a row; not asked again yet`,
      );
    }
    const probe = state === 'half-open';
    if (probe) this.#probing = true;
    try {
      const result = await call();
      this.#close();
      return result;
    } catch (error) {
      this.#note(error);
      throw error;
    } finally {
      if (probe) this.#probing = false;
    }
  }

  #note(error: unknown): void {
    if (!(error instanceof RuntimeError) || error.code !== 'model_unavailable') return;
    this.#failures++;
    if (this.#failures >= this.#maxFailures) this.#openedAt = this.#nowMs();
  }

  #close(): void {
    this.#failures = 0;
    this.#openedAt = undefined;
  }
}
