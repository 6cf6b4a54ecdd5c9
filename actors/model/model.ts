// The model as the agents of one thread share it: one client and circuit per server, one lane per model on it.

import { inSpan, type SpanSpec } from '../../runtime/contracts/tracing.ts';
import { meterTasks, usedByTask } from '../agent/task-in-hand.ts';
import { Circuit, type CircuitOptions } from './circuit.ts';
import { Lane, type LaneOptions } from './lane.ts';
import type { ChatReply, ChatRequest, ModelCheck, ModelClient } from './model-client.ts';
import { ollamaClient } from './ollama-client.ts';

export interface GuardOptions {
  readonly circuit: CircuitOptions;
  readonly lane?: Omit<LaneOptions, 'name'>;
}

/** A client behind a circuit and lanes. A call waits in its lane first, so that a queue does not pile up on a dead server. */
export function guardModel(client: ModelClient, options: GuardOptions): ModelClient & { readonly circuit: Circuit } {
  const circuit = new Circuit(options.circuit);
  const lanes = new Map<string, Lane>();
  const laneOf = (model: string): Lane => {
    const lane = lanes.get(model) ?? new Lane({ name: model, ...options.lane });
    lanes.set(model, lane);
    return lane;
  };
  return {
    host: client.host,
    circuit,
    check: (model, checkOptions) => client.check(model, checkOptions),
    chat: (request) => laneOf(request.model).run(() => circuit.run(() => client.chat(request)), request.signal),
  };
}

/** Where the model is: the agent's `config` first, then the environment, then Ollama's own defaults. */
export interface ModelSettings {
  readonly host: string;
  readonly model: string;
}

export function modelSettings(
  config: Record<string, unknown>,
  env: Readonly<Record<string, string | undefined>>,
): ModelSettings {
  const text = (value: unknown) => (typeof value === 'string' && value !== '' ? value : undefined);
  return {
    host: text(config.ollamaHost) ?? text(env.OLLAMA_HOST) ?? 'http://127.0.0.1:11434',
    model: text(config.model) ?? text(env.TROUPE_OLLAMA_MODEL) ?? 'llama3.2',
  };
}

/** A model bound to its settings: what handlers use. The tokens of each answer count as used by the task that asked. */
export interface Model {
  readonly name: string;
  readonly host: string;
  check(signal: AbortSignal): Promise<ModelCheck>;
  chat(request: Omit<ChatRequest, 'model'>): Promise<ChatReply>;
}

export function bindModel(client: ModelClient, name: string): Model {
  return {
    name,
    host: client.host,
    check: (signal) => client.check(name, { signal }),
    async chat(request) {
      const reply = await inSpan(chatSpan(client.host, name, request), async (span) => {
        const answer = await client.chat({ ...request, model: name });
        span?.set({
          'gen_ai.response.finish_reasons': [answer.stopReason],
          'gen_ai.usage.input_tokens': answer.promptTokens,
          'gen_ai.usage.output_tokens': answer.outputTokens,
        });
        return answer;
      });
      // After the wait: this is the caller's task again, whoever's turn in the lane it was.
      const tokens = reply.promptTokens + reply.outputTokens;
      // A server that counts oddly must not fail the task.
      if (Number.isSafeInteger(tokens) && tokens > 0) usedByTask({ tokens });
      return reply;
    },
  };
}

/** GenAI semantic conventions of a call to a model. What is asked and answered is not in it. */
function chatSpan(host: string, model: string, request: Omit<ChatRequest, 'model'>): SpanSpec {
  const at = URL.canParse(host) ? new URL(host) : undefined;
  return {
    name: `chat ${model}`,
    kind: 'client',
    attributes: {
      'gen_ai.operation.name': 'chat',
      'gen_ai.provider.name': 'ollama',
      'gen_ai.request.model': model,
      'gen_ai.request.temperature': request.temperature,
      'gen_ai.request.max_tokens': request.maxTokens,
      'gen_ai.output.type': request.format ? 'json' : 'text',
      'server.address': at?.hostname,
      'server.port': at?.port ? Number(at.port) : undefined,
    },
  };
}

// What models use is counted, so the tasks of a thread with a model are followed.
meterTasks();

// One set of guards per server in this thread: agents that share a thread share its circuit and its lanes.
const servers = new Map<string, ModelClient>();

/** The shared model of this thread for these settings. */
export function sharedModel(settings: ModelSettings): Model {
  const client =
    servers.get(settings.host) ??
    guardModel(ollamaClient({ host: settings.host }), { circuit: { nowMs: () => performance.now() } });
  servers.set(settings.host, client);
  return bindModel(client, settings.model);
}
