// The part of `config` that the shipped agents share: which folder they may read, which model they ask.

import { z } from 'zod';

/** Folder (absolute, or relative to the node's working directory) below which files may be read. Default: that directory. */
export const fileConfig = { root: z.string().min(1).max(4_096).optional() };

export const modelConfig = {
  /** Like `OLLAMA_HOST`, which is the default. */
  ollamaHost: z.string().min(1).max(1_000).optional(),
  /** Default `TROUPE_OLLAMA_MODEL`, then `llama3.2`. */
  model: z.string().min(1).max(200).optional(),
  /** `off`: never ask a model, use rules and templates only. */
  models: z.enum(['auto', 'off']).default('auto'),
};
