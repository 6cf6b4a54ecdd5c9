// Message handlers made ready to be called: one function per type, with the check of the body in front where one is declared.

import type { Message } from '../../runtime/contracts/envelope.ts';
import type { AgentCore, ReceivedContext } from './contexts.ts';
import type { OnEntry } from './options.ts';
import { type Validated, validateAsync } from './validation.ts';

/** Gives undefined, the answer, or a promise of either; may throw. */
export type MessageHandler = (message: Message, ctx: ReceivedContext) => unknown;

export function compileHandlers(
  on: Readonly<Record<string, OnEntry<unknown, unknown, unknown>>>,
  core: AgentCore,
): ReadonlyMap<string, MessageHandler> {
  return new Map(Object.entries(on).map(([type, entry]) => [type, compile(entry, core)]));
}

function compile(entry: OnEntry<unknown, unknown, unknown>, core: AgentCore): MessageHandler {
  if (typeof entry === 'function') return entry;
  const take = (checked: Validated, message: Message, ctx: ReceivedContext): unknown => {
    if (checked.ok) return entry.handle(checked.value, ctx);
    if (!ctx.refuse(checked.error)) core.cell.deadLetter(message, 'filtered');
    core.handlerFailed(`schema of ${message.type}`, checked.error);
    return undefined;
  };
  return (message, ctx) => {
    const checked = validateAsync(entry.input, message.body, 'invalid_input', 'body');
    return 'ok' in checked ? take(checked, message, ctx) : checked.then((done) => take(done, message, ctx));
  };
}
