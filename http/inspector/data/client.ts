// The one way to the API: paths relative to where the page is mounted, the session's token, problems as errors that say what to do.

import { logOut, session } from './session.ts';

/** What the API refused, or that it could not be reached (`status` 0). `code` is stable, the message is for people. */
export class ApiError extends Error {
  readonly status: number;
  readonly code: string;
  readonly traceId: string | undefined;

  constructor(message: string, answer: { status: number; code: string; traceId?: string | undefined }) {
    super(message);
    this.name = 'ApiError';
    this.status = answer.status;
    this.code = answer.code;
    this.traceId = answer.traceId;
  }
}

export type Query = Readonly<Record<string, string | number | boolean | undefined>>;

const LIMIT_MS = 30_000;

/** Where the page is mounted: `/inspect/` of a server, or deeper. */
const ROOT = new URL('..', location.href.replace(/[?#].*$/, ''));

/** Address of an API path, `/api/agents/list`. */
export function apiUrl(path: string, query: Query = {}): URL {
  const url = new URL(path.replace(/^\//, ''), ROOT);
  for (const [name, value] of Object.entries(query)) {
    if (value !== undefined && value !== '') url.searchParams.set(name, String(value));
  }
  return url;
}

export interface Api {
  /** @throws ApiError */
  get<Value>(path: string, query?: Query, signal?: AbortSignal): Promise<Value>;
  /** @throws ApiError */
  send<Value>(method: 'POST' | 'PATCH' | 'DELETE', path: string, body?: unknown, query?: Query): Promise<Value>;
}

export const api: Api = {
  get: (path, query, signal) => exchange('GET', apiUrl(path, query), undefined, signal),
  send: (method, path, body, query) => exchange(method, apiUrl(path, query), body),
};

/** Headers every request carries. */
export function authorization(): Record<string, string> {
  const token = session.value?.token;
  return token === undefined ? {} : { authorization: `Bearer ${token}` };
}

async function exchange<Value>(method: string, url: URL, body: unknown, signal?: AbortSignal): Promise<Value> {
  const limit = AbortSignal.timeout(LIMIT_MS);
  const response = await fetch(url, {
    method,
    headers: {
      accept: 'application/json',
      ...authorization(),
      ...(body === undefined ? {} : { 'content-type': 'application/json' }),
    },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    signal: signal ? AbortSignal.any([signal, limit]) : limit,
    cache: 'no-store',
  }).catch((cause: unknown) => {
    if (signal?.aborted) throw cause;
    throw new ApiError('The server does not answer.', { status: 0, code: 'unreachable' });
  });
  if (response.ok) return (response.status === 204 ? undefined : await response.json()) as Value;
  throw await problemOf(response);
}

/** Reads an answer that is no success; a token that is no longer taken ends the session. */
export async function problemOf(response: Response): Promise<ApiError> {
  const problem = (await response.json().catch(() => ({}))) as Partial<Record<string, unknown>>;
  if (response.status === 401 && session.value)
    logOut('The server does not take this token any more. Paste a new one.');
  const detail = [problem.detail, problem.title].find((text) => typeof text === 'string') as string | undefined;
  return new ApiError(detail ?? `The server answered ${response.status}.`, {
    status: response.status,
    code: typeof problem.code === 'string' ? problem.code : `http_${response.status}`,
    traceId: typeof problem.traceId === 'string' ? problem.traceId : undefined,
  });
}
