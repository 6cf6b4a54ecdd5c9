// Calls of a handler to something outside (a search, a service, a file) that are worth a place in the trace.

import { inSpan } from '../../runtime/contracts/tracing.ts';

export interface ToolOptions {
  /** Of this call, where the model gave one. */
  readonly callId?: string;
  /** Default `function`; as the GenAI conventions have it: `extension`, `datastore`. */
  readonly type?: string;
}

/**
 * Runs `call` as the tool `name` (of few values): a span `execute_tool NAME` in the trace of the task or message around it, where
 * somebody has registered an OpenTelemetry SDK; else it is the call alone. What goes in and comes out is not recorded.
 * @example
 * const page = await tool('web.fetch', () => fetch(url, { signal: ctx.signal }));
 */
export function tool<T>(name: string, call: () => T, { callId, type = 'function' }: ToolOptions = {}): T {
  return inSpan(
    {
      name: `execute_tool ${name}`,
      attributes: {
        'gen_ai.operation.name': 'execute_tool',
        'gen_ai.tool.name': name,
        'gen_ai.tool.type': type,
        'gen_ai.tool.call.id': callId,
      },
    },
    call,
  );
}
