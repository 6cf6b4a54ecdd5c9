// One thing an agent can do: a versioned, typed handler of tasks.

import type { z } from 'zod';
import type { TaskContext } from './context.ts';

export interface CapabilityOptions<Input extends z.ZodType, Output extends z.ZodType, State, Config> {
  /** Major version, from 1. Tasks are pinned to `name@version`. */
  readonly version: number;
  readonly description?: string;
  /** What a task's input must be; the handler gets the parsed value. A mismatch fails the task as `invalid_input`. */
  readonly input: Input;
  /** What the handler must give; the parsed value is the task's result. A mismatch fails the task as `invalid_output`. */
  readonly output: Output;
  /**
   * One attempt. Throw `TaskError` to choose the code and whether a retry can help; any other error is `handler_failed`, retried.
   * `ctx.signal` aborts on cancel and timeout: pass it on and end soon after.
   */
  handle(
    input: z.output<Input>,
    ctx: TaskContext<State, Config>,
  ): z.input<NoInfer<Output>> | Promise<z.input<NoInfer<Output>>>;
}

/** A capability whose types are checked and erased; what `defineAgent` takes. */
export interface Capability {
  readonly version: number;
  readonly description?: string;
  readonly input: z.ZodType;
  readonly output: z.ZodType;
  readonly handle: (input: unknown, ctx: TaskContext<unknown, unknown>) => unknown;
}

/**
 * Declares a capability with the types of its schemas. To type `ctx.state` and `ctx.config`, annotate the parameter
 * with `TaskContext<State, Config>`.
 *
 * @example
 * capability({
 *   version: 1,
 *   input: z.object({ text: z.string() }),
 *   output: z.object({ words: z.number() }),
 *   handle: ({ text }) => ({ words: text.split(/\s+/).length }),
 * })
 */
export function capability<Input extends z.ZodType, Output extends z.ZodType, State = unknown, Config = unknown>(
  options: CapabilityOptions<Input, Output, State, Config>,
): Capability {
  const handle = options.handle.bind(options) as Capability['handle'];
  return { ...options, handle };
}
