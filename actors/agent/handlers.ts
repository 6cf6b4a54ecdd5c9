// Message handlers made ready to be called: one function per type, with the check of the body in front where one is declared.

import type { Message } from '../../runtime/contracts/envelope.ts';
import type { OnEntry, ResolvedAgent } from './options.ts';
import type { ReceivedContext } from './received-context.ts';
import { type Validated, validateAsync } from './validation.ts';

/** Gives undefined, the answer, or a promise of either; may throw. */
export type MessageHandler = (message: Message, ctx: ReceivedContext) => unknown;

export function compileHandlers(
  on: Readonly<Record<string, OnEntry<unknown, unknown, unknown>>>,
): ReadonlyMap<string, MessageHandler> {
  return new Map(Object.entries(on).map(([type, entry]) => [type, compile(entry)]));
}

/**
 * What of the told messages may enter the mailbox: those that the agent's `filter` lets through, with a body that fits the schema of its
 * handler. Undefined: all of them. A filter that throws lets nothing through; a schema that needs time is left to the handler.
 */
export function acceptance({
  on,
  filter,
}: Pick<ResolvedAgent, 'on' | 'filter'>): ((message: Message) => boolean) | undefined {
  const schemas = new Map(
    Object.entries(on).flatMap(([type, entry]) => (typeof entry === 'function' ? [] : [[type, entry.input] as const])),
  );
  if (schemas.size === 0 && filter === undefined) return undefined;
  return (message) => {
    try {
      if (filter && filter(message) !== true) return false;
    } catch {
      return false;
    }
    const schema = schemas.get(message.type);
    if (!schema) return true;
    const checked = validateAsync(schema, message.body, 'invalid_input', 'body');
    return !('ok' in checked) || checked.ok;
  };
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
