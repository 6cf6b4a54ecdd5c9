// Message handlers made ready to be called: one function per type, with the check of the body in front where one is declared.

import type { Message } from '../../runtime/contracts/envelope.ts';
import type { ReceivedContext } from './contexts.ts';
import type { OnEntry } from './options.ts';
import { type Validated, validateAsync } from './validation.ts';

/** Gives undefined, the answer, or a promise of either; may throw. */
export type MessageHandler = (message: Message, ctx: ReceivedContext) => unknown;

export function compileHandlers(
  on: Readonly<Record<string, OnEntry<unknown, unknown, unknown>>>,
): ReadonlyMap<string, MessageHandler> {
  return new Map(Object.entries(on).map(([type, entry]) => [type, compile(entry)]));
}

function compile(entry: OnEntry<unknown, unknown, unknown>): MessageHandler {
  if (typeof entry === 'function') return entry;
  const take = (checked: Validated, ctx: ReceivedContext): unknown => {
    if (checked.ok) return entry.handle(checked.value, ctx);
    ctx.filter(checked.error);
    return undefined;
  };
  return (message, ctx) => {
    const checked = validateAsync(entry.input, message.body, 'invalid_input', 'body');
    return 'ok' in checked ? take(checked, ctx) : checked.then((done) => take(done, ctx));
  };
}
