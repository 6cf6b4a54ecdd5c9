// How a command fails: one line for people (or one JSON object), and an exit code that says what kind of failure it was.

import { RuntimeError } from '../../runtime/contracts/errors.ts';
import { EXIT } from '../exit-codes.ts';
import { ListenError } from '../server.ts';
import { RemoteError } from './remote.ts';

/** A mistake in how a command was called. */
export class UsageError extends Error {
  constructor(message: string) {
    super(message);
    this.name = 'UsageError';
  }
}

const BY_CODE: Readonly<Record<string, number>> = {
  config_invalid: EXIT.config,
  not_a_module: EXIT.config,
  schema_version: EXIT.config,
  store_foreign: EXIT.config,
  store_locked: EXIT.temporary,
  store_unavailable: EXIT.temporary,
  lease_lost: EXIT.temporary,
};

export function exitCodeOf(error: unknown): number {
  if (error instanceof UsageError) return EXIT.usage;
  if (error instanceof ListenError) return EXIT.unavailable;
  if (error instanceof RemoteError) return error.status === null ? EXIT.unavailable : EXIT.failure;
  return (error instanceof RuntimeError ? BY_CODE[error.code] : undefined) ?? EXIT.failure;
}

/** What to print of a failure: one line, whatever was thrown. */
export function failureText(error: unknown, json: boolean): string {
  const message = (error instanceof Error ? error.message : String(error)).replace(/\s*\n\s*/g, ' ');
  if (json) return JSON.stringify({ error: { ...failureFields(error), message } });
  const places = error instanceof RemoteError ? error.errors : [];
  const more = places.filter(({ message: place }) => !message.includes(place));
  return `troupe: ${[message, ...more.map((place) => `${place.path}: ${place.message}`)].join('; ')}`;
}

function failureFields(error: unknown): Record<string, unknown> {
  if (error instanceof RemoteError)
    return { code: error.code, status: error.status, traceId: error.traceId, errors: error.errors };
  if (error instanceof RuntimeError) return { code: error.code, details: error.details };
  return { code: error instanceof ListenError ? 'port_unavailable' : 'failure' };
}
