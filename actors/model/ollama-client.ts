// ModelClient over an Ollama server. Every call has a deadline and can be aborted: the library itself has neither for all calls,
// so a fetch of our own carries the signal. Whatever the library throws leaves here as one of the model errors.

import { activeTraceparent } from '../../runtime/contracts/tracing.ts';
import {
  type ChatReply,
  type ChatRequest,
  type ModelCheck,
  type ModelClient,
  modelCancelled,
  modelMissing,
  modelUnavailable,
} from './model-client.ts';

const DEFAULT_CALL_MS = 120_000;
const DEFAULT_CHECK_MS = 2_000;
const MAX_ERROR_CHARS = 300;

export interface OllamaOptions {
  /** Like `OLLAMA_HOST`: a URL, `host:port` or `:port`. */
  readonly host: string;
  /** For tests. */
  readonly fetch?: typeof fetch;
}

/** A response that is not 2xx, caught before the library turns it into text on the console. */
class StatusError extends Error {
  readonly status: number;
  constructor(status: number, message: string) {
    super(message);
    this.status = status;
  }
}

export function ollamaClient(options: OllamaOptions): ModelClient {
  const host = displayHost(options.host);
  const open = async (signal: AbortSignal) => {
    const { Ollama } = await import('ollama');
    return new Ollama({ host: options.host, fetch: guardedFetch(options.fetch ?? fetch, signal) });
  };
  return {
    host,
    async check(model, { timeoutMs = DEFAULT_CHECK_MS, signal } = {}): Promise<ModelCheck> {
      const deadline = withDeadline(timeoutMs, signal);
      try {
        const client = await open(deadline);
        const models = (await client.list()).models.map((entry) => entry.name);
        if (hasModel(models, model)) return { state: 'ready', models };
        return { state: 'model_missing', models, reason: modelMissing(model, host).message };
      } catch (error) {
        return { state: 'unreachable', reason: mapError(error, { host, model, timeoutMs, deadline, signal }).message };
      }
    },
    async chat(request: ChatRequest): Promise<ChatReply> {
      const timeoutMs = request.timeoutMs ?? DEFAULT_CALL_MS;
      const deadline = withDeadline(timeoutMs, request.signal);
      try {
        return await stream(await open(deadline), request);
      } catch (error) {
        throw mapError(error, { host, model: request.model, timeoutMs, deadline, signal: request.signal });
      }
    },
  };
}

/** Streams even when nobody listens, so that an abort closes the connection and the server stops generating. */
async function stream(client: import('ollama').Ollama, request: ChatRequest): Promise<ChatReply> {
  const parts = await client.chat({
    model: request.model,
    messages: request.messages.map((message) => ({ ...message })),
    stream: true,
    ...(request.format ? { format: request.format } : {}),
    options: {
      temperature: request.temperature ?? 0.2,
      ...(request.maxTokens === undefined ? {} : { num_predict: request.maxTokens }),
    },
  });
  let text = '';
  let last: { prompt_eval_count?: number; eval_count?: number; done_reason?: string } = {};
  for await (const part of parts) {
    const piece = part.message?.content ?? '';
    text += piece;
    if (piece) request.onText?.(piece);
    if (part.done) last = part;
  }
  return {
    text,
    promptTokens: last.prompt_eval_count ?? 0,
    outputTokens: last.eval_count ?? 0,
    stopReason: last.done_reason ?? 'stop',
  };
}

function guardedFetch(base: typeof fetch, signal: AbortSignal): typeof fetch {
  return async (input, init) => {
    const signals = init?.signal ? [signal, init.signal] : [signal];
    const headers = new Headers(init?.headers);
    const traceparent = activeTraceparent();
    if (traceparent !== undefined) headers.set('traceparent', traceparent);
    const response = await base(input, { ...init, headers, signal: AbortSignal.any(signals) });
    if (!response.ok) throw new StatusError(response.status, await errorText(response));
    return response;
  };
}

async function errorText(response: Response): Promise<string> {
  const body = (await response.text()).slice(0, MAX_ERROR_CHARS);
  try {
    const parsed: unknown = JSON.parse(body);
    if (typeof parsed === 'object' && parsed !== null && 'error' in parsed) return String(parsed.error);
  } catch {
    // not JSON: the body itself is the message
  }
  return body || response.statusText;
}

interface CallFacts {
  readonly host: string;
  readonly model: string;
  readonly timeoutMs: number;
  readonly deadline: AbortSignal;
  readonly signal: AbortSignal | undefined;
}

function mapError(error: unknown, call: CallFacts): Error {
  if (call.signal?.aborted) return modelCancelled(call.signal);
  if (call.deadline.aborted) {
    return modelUnavailable('timeout', `${call.host} did not finish within ${call.timeoutMs} ms`, error);
  }
  if (error instanceof StatusError) {
    if (error.status === 404 && /not found|try pulling/i.test(error.message))
      return modelMissing(call.model, call.host);
    return modelUnavailable('server_error', `${call.host} answered ${error.status}: ${error.message}`, error);
  }
  const message = error instanceof Error ? error.message : String(error);
  if (/did not receive done|terminated|aborted|premature|other side closed/i.test(message)) {
    return modelUnavailable('stream_cut', `${call.host} cut the answer short`, error);
  }
  if (error instanceof TypeError) return modelUnavailable('unreachable', unreachableText(call.host, error), error);
  return modelUnavailable('server_error', `${call.host} failed: ${message.slice(0, MAX_ERROR_CHARS)}`, error);
}

function unreachableText(host: string, error: TypeError): string {
  const cause = error.cause as { code?: unknown } | undefined;
  const code = typeof cause?.code === 'string' ? ` (${cause.code})` : '';
  return `no Ollama server answers at ${host}${code}`;
}

function withDeadline(timeoutMs: number, signal?: AbortSignal): AbortSignal {
  const deadline = AbortSignal.timeout(Math.min(Math.max(1, timeoutMs), 2 ** 31 - 1));
  return signal ? AbortSignal.any([deadline, signal]) : deadline;
}

/** `llama3.2` means `llama3.2:latest`, as for the server. */
function hasModel(models: readonly string[], model: string): boolean {
  return models.includes(model) || (!model.includes(':') && models.includes(`${model}:latest`));
}

/** The host for people: without credentials. */
function displayHost(host: string): string {
  const text = host.startsWith(':') ? `127.0.0.1${host}` : host;
  const url = URL.parse?.(text.includes('://') ? text : `http://${text}`);
  return url ? `${url.protocol}//${url.host}` : text.replace(/\/\/[^@/]*@/, '//');
}
