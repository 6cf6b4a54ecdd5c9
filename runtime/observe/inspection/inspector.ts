// The inspector's API over the nodes: pages and views of this node and of those that can be reached, put together.

import { type CallContext, DEFAULT_CALL } from '../../contracts/call.ts';
import { RuntimeError } from '../../contracts/errors.ts';
import {
  type CpuProfile,
  type InspectedAgent,
  type InspectedConfig,
  type InspectFeed,
  type InspectFocus,
  type InspectFocusInput,
  type InspectionApi,
  type InspectNodes,
  type InspectThreads,
  type InspectTree,
  type InspectTreeQuery,
  inspectFocusSchema,
  type ProfileRequest,
} from '../../contracts/inspection.ts';
import { FrameQueue } from './frame-queue.ts';
import type { LocalInspector } from './local-inspector.ts';
import type { LocalView } from './local-view.ts';

const DEFAULT_LIMIT = 200;
const MAX_LIMIT = 1_000;

interface OpenFeed {
  readonly tenant: string;
  readonly subject: string | undefined;
  readonly queue: FrameQueue;
  readonly view: LocalView;
}

export interface InspectorOptions {
  readonly local: LocalInspector;
  /** Names of feeds; nobody guesses one. */
  readonly newStreamId: () => string;
  readonly profile: (thread: number, request: ProfileRequest) => Promise<CpuProfile>;
}

export class Inspector implements InspectionApi {
  readonly #local: LocalInspector;
  readonly #options: InspectorOptions;
  readonly #feeds = new Map<string, OpenFeed>();

  constructor(options: InspectorOptions) {
    this.#options = options;
    this.#local = options.local;
  }

  async tree(query: InspectTreeQuery, call: CallContext = DEFAULT_CALL): Promise<InspectTree> {
    const { node } = this.#local.sources;
    const limit = Math.min(MAX_LIMIT, Math.max(1, query.limit ?? DEFAULT_LIMIT));
    const offset = offsetOf(query.cursor);
    const { revision, items, total, counts } = this.#local.tree(query, { offset, limit }, call.tenant);
    const next = offset + items.length;
    return {
      node,
      revisions: { [node]: revision },
      items: [...items],
      nextCursor: next < total ? String(next) : null,
      total,
      counts: { [node]: counts },
      unreachable: [],
    };
  }

  agent(idOrName: string, call: CallContext = DEFAULT_CALL): Promise<InspectedAgent> {
    return this.#local.agent(idOrName, call);
  }

  async threads(): Promise<InspectThreads> {
    const { items, deaths, restarts } = this.#local.threads();
    const { node } = this.#local.sources;
    return { items: [...items], deaths: [...deaths], restarts: { [node]: restarts }, unreachable: [] };
  }

  async nodes(call: CallContext = DEFAULT_CALL): Promise<InspectNodes> {
    const { sources } = this.#local;
    const [members, figures] = await Promise.all([sources.members(), this.#local.figures(call.tenant)]);
    return {
      items: members.map(({ id, host, pid, state, self, agents, heartbeatAgeMs, startedAt }) => ({
        id,
        host,
        pid,
        state,
        self,
        agents,
        heartbeatAgeMs,
        startedAt,
        figures: self ? figures : null,
      })),
      links: { ...sources.links() },
      unreachable: members.filter(({ self }) => !self).map(({ id }) => id),
    };
  }

  open(
    { focus, signal }: { focus?: InspectFocusInput; signal: AbortSignal },
    call: CallContext = DEFAULT_CALL,
  ): InspectFeed {
    const parsed = inspectFocusSchema.parse(focus ?? {});
    const id = this.#options.newStreamId();
    const { node } = this.#local.sources;
    const queue = new FrameQueue();
    const view = this.#local.view(call.tenant, parsed, (frame) => queue.push(frame));
    this.#feeds.set(id, { tenant: call.tenant, subject: call.subject, queue, view });
    queue.push({
      type: 'hello',
      stream: id,
      node,
      nodes: [node],
      unreachable: [],
      revisions: { [node]: this.#local.revision },
      focus: parsed,
    });
    const close = (): void => {
      this.#feeds.delete(id);
      view.close();
      queue.end();
    };
    signal.addEventListener('abort', close, { once: true });
    if (signal.aborted) close();
    return { id, frames: framesOf(queue, close, signal) };
  }

  async focus(stream: string, focus: InspectFocusInput, call: CallContext = DEFAULT_CALL): Promise<InspectFocus> {
    const feed = this.#feeds.get(stream);
    if (!feed || feed.tenant !== call.tenant || feed.subject !== call.subject || feed.queue.ended)
      throw new RuntimeError('stream_not_found', 'no such stream is open on this node; open it anew with this focus');
    const parsed = inspectFocusSchema.parse(focus);
    feed.view.focus(parsed);
    feed.queue.push({ type: 'focus', focus: parsed, missing: [] });
    return parsed;
  }

  profile(thread: number, request: ProfileRequest): Promise<CpuProfile> {
    return this.#options.profile(thread, request);
  }

  config(): InspectedConfig {
    return this.#local.sources.config();
  }
}

async function* framesOf(queue: FrameQueue, close: () => void, signal: AbortSignal) {
  try {
    yield* queue.frames();
  } finally {
    signal.removeEventListener('abort', close);
    close();
  }
}

/** Throws `invalid_input` for a cursor that is none. */
function offsetOf(cursor: string | undefined): number {
  if (cursor === undefined) return 0;
  if (/^\d{1,9}$/.test(cursor)) return Number(cursor);
  throw new RuntimeError('invalid_input', 'cursor: not a cursor of ours', { details: { path: 'cursor' } });
}
