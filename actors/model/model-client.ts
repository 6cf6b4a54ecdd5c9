// The port to a language model: what agents ask for and how it fails. Adapters: ollama-client; guards: circuit, lane.

import { RuntimeError, TaskError } from '../../runtime/contracts/errors.ts';

export interface ChatMessage {
  readonly role: 'system' | 'user' | 'assistant';
  readonly content: string;
}

export interface ChatRequest {
  readonly model: string;
  readonly messages: readonly ChatMessage[];
  /** JSON schema (2020-12) the answer must have; the server constrains decoding with it. */
  readonly format?: Record<string, unknown>;
  /** 0 = as repeatable as the server allows. Default 0.2. */
  readonly temperature?: number;
  /** Longest answer in tokens. */
  readonly maxTokens?: number;
  /** Whole call, waiting for the first token included. Default 120,000. */
  readonly timeoutMs?: number;
  readonly signal?: AbortSignal;
  /** Called with every piece of text as it arrives. */
  readonly onText?: (piece: string) => void;
}

export interface ChatReply {
  readonly text: string;
  readonly promptTokens: number;
  readonly outputTokens: number;
  /** As the server gives it: `stop`, `length` ... */
  readonly stopReason: string;
}

/** What a look at the server found. */
export type ModelCheck =
  | { readonly state: 'ready'; readonly models: readonly string[] }
  | { readonly state: 'model_missing'; readonly models: readonly string[]; readonly reason: string }
  | { readonly state: 'unreachable'; readonly reason: string };

/** Implementations never retry: the task that asked has a retry policy of its own. */
export interface ModelClient {
  readonly host: string;
  /** Whether the server answers and has the model. Never rejects. */
  check(model: string, options?: { timeoutMs?: number; signal?: AbortSignal }): Promise<ModelCheck>;
  /** Rejects with {@link modelUnavailable}, {@link modelMissing}, {@link modelBusy}, or `task_cancelled` when `signal` aborts. */
  chat(request: ChatRequest): Promise<ChatReply>;
}

export type UnavailableReason = 'unreachable' | 'timeout' | 'server_error' | 'stream_cut' | 'circuit_open';

/** Thrown when the server cannot answer now; the caller may try again later or do without the model. */
export function modelUnavailable(reason: UnavailableReason, message: string, cause?: unknown): RuntimeError {
  return new RuntimeError('model_unavailable', message, {
    details: { reason },
    ...(cause === undefined ? {} : { cause }),
  });
}

/** Thrown when the server answers but lacks the model; a person must pull it. */
export function modelMissing(model: string, host: string): TaskError {
  return new TaskError('model_missing', `the model ${model} is not on ${host}: run \`ollama pull ${model}\``, {
    retryable: false,
    details: { model, host },
  });
}

/** Thrown when the lane of the model and its queue are full; the caller may try again later. */
export function modelBusy(lane: string, limit: number, waiting: number): TaskError {
  return new TaskError('model_busy', `${lane} runs ${limit} calls and ${waiting} wait: the queue is full`, {
    retryable: true,
    details: { lane, limit, waiting },
  });
}

/** Thrown when the caller's signal ended a call. */
export function modelCancelled(signal: AbortSignal): RuntimeError {
  return new RuntimeError('task_cancelled', 'the call to the model was cancelled', { cause: signal.reason });
}
