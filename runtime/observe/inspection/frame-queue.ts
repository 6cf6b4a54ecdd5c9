// The frames of one viewer on their way out: bounded. A viewer that does not keep up gets a `reset` with `end` in the place of what waits.

import type { InspectFrame } from '../../contracts/inspection.ts';

const MAX_WAITING = 400;

/** States: open -> ended. Read by one reader. */
export class FrameQueue {
  readonly #waiting: InspectFrame[] = [];
  #ended = false;
  #wake: (() => void) | undefined;

  get ended(): boolean {
    return this.#ended;
  }

  push(frame: InspectFrame): void {
    if (this.#ended) return;
    if (this.#waiting.length >= MAX_WAITING) {
      this.#waiting.length = 0;
      this.#waiting.push({ type: 'reset', why: `more than ${MAX_WAITING} frames waited for this viewer`, end: true });
      this.#ended = true;
    } else {
      this.#waiting.push(frame);
    }
    this.#wake?.();
  }

  end(): void {
    this.#ended = true;
    this.#wake?.();
  }

  async *frames(): AsyncGenerator<InspectFrame, void, void> {
    for (;;) {
      const frame = this.#waiting.shift();
      if (frame) yield frame;
      else if (this.#ended) return;
      else {
        await new Promise<void>((resolve) => {
          this.#wake = resolve;
        });
        this.#wake = undefined;
      }
    }
  }
}
