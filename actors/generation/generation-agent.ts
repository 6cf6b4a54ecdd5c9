// The generation agent: writes reports, with a model when one answers and without one else; free and structured text by a model only.

import { z } from 'zod';
import { TaskError } from '../../runtime/contracts/errors.ts';
import { capability } from '../agent/capability.ts';
import { defineAgent } from '../agent/define-agent.ts';
import { modelConfig } from '../agent-config.ts';
import { FINDING, type Finding, findingSchema } from '../findings.ts';
import { type Model, modelSettings, sharedModel } from '../model/model.ts';
import { modelMissing, modelUnavailable } from '../model/model-client.ts';
import { askStructured, schemaFromJson } from '../model/structured.ts';
import { writeAnswer } from './answer.ts';
import { cite } from './citations.ts';
import { renderReport } from './report.ts';
import { reportInputSchema } from './report-input.ts';

const MAX_PROMPT_CHARS = 100_000;

const modelOf = (config: Record<string, unknown>): Model | undefined =>
  config.models === 'off' ? undefined : sharedModel(modelSettings(config, process.env));

/** @throws TaskError `model_missing`, `model_required`; RuntimeError `model_unavailable` */
async function requireModel(config: Record<string, unknown>, signal: AbortSignal): Promise<Model> {
  const model = modelOf(config);
  if (!model)
    throw new TaskError('model_required', 'this agent is configured to do without a model', { retryable: false });
  const check = await model.check(signal);
  if (check.state === 'model_missing') throw modelMissing(model.name, model.host);
  if (check.state === 'unreachable') throw modelUnavailable('unreachable', check.reason);
  return model;
}

const PROGRESS_EVERY_CHARS = 80;
const MAX_HEARD = 200;

export const generationAgent = defineAgent({
  type: 'generation',
  description: 'Writes reports with sources, and text through an Ollama model.',
  config: z.object(modelConfig),
  /** What others told it, oldest first. */
  state: { heard: [] as readonly Finding[] },
  on: {
    [FINDING]: {
      input: findingSchema,
      async handle(finding, ctx) {
        ctx.state = { heard: [...ctx.state.heard, finding].slice(-MAX_HEARD) };
        await ctx.save();
      },
    },
    'findings.heard': (_message, ctx) => ctx.state.heard,
  },
  capabilities: {
    'report.write': capability({
      version: 1,
      description:
        'A Markdown report with quotes and sources. Says who wrote it: a model, or extraction and templates.',
      input: reportInputSchema,
      output: z.object({
        markdown: z.string(),
        mode: z.enum(['model', 'extraction']),
        reason: z.string().meta({ description: 'Which model wrote it, or why none did.' }),
        model: z.string().nullable(),
        quotes: z.array(
          z.object({ number: z.number().int(), file: z.string(), line: z.number().int(), quote: z.string() }),
        ),
      }),
      async handle(input, ctx) {
        ctx.progress({ fraction: 0.2, note: 'choosing quotes' });
        const citations = cite(input);
        ctx.progress({ fraction: 0.4, note: 'writing' });
        const by = await writeAnswer(
          modelOf(ctx.config as Record<string, unknown>),
          input.question,
          citations.all,
          ctx.signal,
        );
        const quotes = citations.all.map(({ number, file, line, quote }) => ({ number, file, line, quote }));
        return {
          markdown: renderReport(input, citations, by),
          mode: by.mode,
          reason: by.reason,
          model: by.mode === 'model' ? by.model : null,
          quotes,
        };
      },
    }),
    'text.generate': capability({
      version: 1,
      description: 'Text, or JSON of a schema, by a model. The text so far is the progress of the task.',
      input: z.strictObject({
        prompt: z.string().min(1).max(MAX_PROMPT_CHARS),
        system: z.string().max(MAX_PROMPT_CHARS).optional(),
        temperature: z.number().min(0).max(2).optional(),
        maxTokens: z.number().int().min(1).max(100_000).optional(),
        schema: z
          .record(z.string(), z.unknown())
          .optional()
          .meta({ description: 'JSON schema; the answer is then `data`.' }),
      }),
      output: z.object({ model: z.string(), text: z.string().optional(), data: z.unknown().optional() }),
      async handle(input, ctx) {
        const model = await requireModel(ctx.config as Record<string, unknown>, ctx.signal);
        const messages = [
          ...(input.system === undefined ? [] : [{ role: 'system' as const, content: input.system }]),
          { role: 'user' as const, content: input.prompt },
        ];
        const options = {
          signal: ctx.signal,
          timeoutMs: ctx.timeoutMs,
          ...(input.temperature === undefined ? {} : { temperature: input.temperature }),
          ...(input.maxTokens === undefined ? {} : { maxTokens: input.maxTokens }),
        };
        if (input.schema)
          return {
            model: model.name,
            data: await askStructured(model, { schema: schemaFromJson(input.schema), messages, options }),
          };
        let text = '';
        let shown = 0;
        const reply = await model.chat({
          ...options,
          messages,
          onText: (piece) => {
            text += piece;
            if (text.length - shown < PROGRESS_EVERY_CHARS) return;
            shown = text.length;
            ctx.progress({ text });
          },
        });
        return { model: model.name, text: reply.text };
      },
    }),
  },
});
