// The inspector's API over the nodes: pages, agents and feeds of this node and of those that can be reached, put together.

import { type CallContext, DEFAULT_CALL } from '../../contracts/call.ts';
import { RuntimeError } from '../../contracts/errors.ts';
import {
  type CpuProfile,
  type InspectedAgent,
  type InspectedConfig,
  type InspectFeed,
  type InspectFocus,
  type InspectFocusInput,
  type InspectFrame,
  type InspectionApi,
  type InspectNodes,
  type InspectThreads,
  type InspectTree,
  type InspectTreeQuery,
  inspectFocusSchema,
  type NodeFigures,
  type ProfileRequest,
} from '../../contracts/inspection.ts';
import type { Cluster } from '../../contracts/messaging.ts';
import { isTree } from './focus-board.ts';
import type { LocalInspector, LocalThreads, LocalTree } from './local-inspector.ts';
import { OpenFeed, unresolved } from './open-feed.ts';
import { OtherNodes } from './other-nodes.ts';
import { nodeOfTreeId } from './tree-nodes.ts';

const DEFAULT_LIMIT = 200;
const MAX_LIMIT = 1_000;

export interface InspectorOptions {
  readonly local: LocalInspector;
  readonly cluster: Pick<Cluster, 'peers' | 'call' | 'cast' | 'handle' | 'onChange'>;
  /** Names of feeds; nobody guesses one. */
  readonly newStreamId: () => string;
  /** Of a thread of this node. */
  readonly profile: (thread: number, request: ProfileRequest) => Promise<CpuProfile>;
}

export class Inspector implements InspectionApi {
  readonly #local: LocalInspector;
  readonly #options: InspectorOptions;
  readonly #others: OtherNodes;
  readonly #feeds = new Map<string, OpenFeed>();

  constructor(options: InspectorOptions) {
    this.#options = options;
    this.#local = options.local;
    this.#others = new OtherNodes({
      cluster: options.cluster,
      local: options.local,
      clock: options.local.sources.clock,
      profile: options.profile,
      onFrames: (stream, frames) => this.#arrived(stream, frames),
    });
    options.cluster.onChange(() => {
      for (const feed of this.#feeds.values()) void feed.renew();
    });
  }

  async tree(query: InspectTreeQuery, call: CallContext = DEFAULT_CALL): Promise<InspectTree> {
    const limit = Math.min(MAX_LIMIT, Math.max(1, query.limit ?? DEFAULT_LIMIT));
    const offset = offsetOf(query.cursor);
    const wanted = query.node ?? (query.parent === undefined ? undefined : nodeOfTreeId(query.parent));
    const nodes = this.#nodes().filter((node) => wanted === undefined || node === wanted);
    const ask = (node: string, window: { offset: number; limit: number }): Promise<LocalTree> =>
      node === this.#own ? this.#here(query, window, call) : this.#others.tree(node, query, window, call.tenant);
    // How many there are on each node comes first: the page may begin anywhere among them.
    const heads = await this.#each(nodes, (node) => ask(node, { offset: 0, limit: 0 }));
    const total = heads.answers.reduce((sum, [, head]) => sum + head.total, 0);
    const items: InspectTree['items'] = [];
    const revisions: Record<string, number> = {};
    let skip = offset;
    for (const [node, head] of heads.answers) {
      revisions[node] = head.revision;
      if (skip >= head.total || items.length >= limit) {
        skip = Math.max(0, skip - head.total);
        continue;
      }
      const page = await ask(node, { offset: skip, limit: limit - items.length }).catch(() => head);
      items.push(...page.items);
      skip = 0;
    }
    const next = offset + items.length;
    return {
      node: this.#own,
      revisions,
      items,
      nextCursor: items.length > 0 && next < total ? String(next) : null,
      total,
      counts: Object.fromEntries(heads.answers.map(([node, { counts }]) => [node, counts])),
      unreachable: [...new Set([...heads.unreachable, ...(await this.#unreachable())])],
    };
  }

  async agent(idOrName: string, call: CallContext = DEFAULT_CALL): Promise<InspectedAgent> {
    const { sources } = this.#local;
    const { id, node } = await sources.agentView(idOrName, call);
    if (node === null || node === this.#own || sources.agentOf(id) !== undefined) return this.#local.agent(id, call);
    try {
      return await this.#others.agent(node, id, call);
    } catch (error) {
      const known = await this.#local.agent(id, call);
      return {
        ...known,
        problem: `its node ${node} does not answer: ${error instanceof Error ? error.message : error}`,
      };
    }
  }

  async threads(_call?: CallContext): Promise<InspectThreads> {
    const { answers, unreachable } = await this.#each<LocalThreads>(this.#nodes(), (node) =>
      node === this.#own ? Promise.resolve(this.#local.threads()) : this.#others.threads(node),
    );
    return {
      items: answers.flatMap(([, { items }]) => items),
      deaths: answers.flatMap(([, { deaths }]) => deaths).sort((a, b) => b.at.localeCompare(a.at)),
      restarts: Object.fromEntries(answers.map(([node, { restarts }]) => [node, restarts])),
      unreachable: [...new Set([...unreachable, ...(await this.#unreachable())])],
    };
  }

  async nodes(call: CallContext = DEFAULT_CALL): Promise<InspectNodes> {
    const { sources } = this.#local;
    const [members, { answers }] = await Promise.all([
      sources.members(),
      this.#each<NodeFigures>(this.#nodes(), (node) =>
        node === this.#own ? this.#local.figures(call.tenant) : this.#others.figures(node, call.tenant),
      ),
    ]);
    const figures = new Map(answers);
    return {
      items: members.map(({ id, host, pid, state, self, agents, heartbeatAgeMs, startedAt }) => {
        return { id, host, pid, state, self, agents, heartbeatAgeMs, startedAt, figures: figures.get(id) ?? null };
      }),
      links: { ...sources.links() },
      unreachable: members.map(({ id }) => id).filter((id) => !figures.has(id)),
    };
  }

  open(
    { focus, signal }: { focus?: InspectFocusInput; signal: AbortSignal },
    call: CallContext = DEFAULT_CALL,
  ): InspectFeed {
    const parsed = inspectFocusSchema.parse(focus ?? {});
    const id = this.#options.newStreamId();
    const feed = new OpenFeed(
      {
        id,
        call,
        local: this.#local,
        others: this.#others,
        clock: this.#local.sources.clock,
        unreachable: () => this.#unreachable(),
      },
      unresolved(parsed),
    );
    this.#feeds.set(id, feed);
    const close = (): void => {
      this.#feeds.delete(id);
      feed.close();
    };
    signal.addEventListener('abort', close, { once: true });
    if (signal.aborted) close();
    if (parsed.actors.length > 0 || parsed.messages) void this.#turn(feed, parsed, call);
    return { id, frames: framesOf(feed, close, signal) };
  }

  async focus(stream: string, focus: InspectFocusInput, call: CallContext = DEFAULT_CALL): Promise<InspectFocus> {
    const feed = this.#feeds.get(stream);
    if (!feed?.isOf(call) || feed.ended)
      throw new RuntimeError('stream_not_found', 'no such stream is open on this node; open it anew with this focus');
    return this.#turn(feed, inspectFocusSchema.parse(focus), call);
  }

  async profile(thread: number, request: ProfileRequest): Promise<CpuProfile> {
    const { node } = request;
    if (node === undefined || node === this.#own) return this.#options.profile(thread, request);
    return this.#others.profile(node, thread, request);
  }

  config(): InspectedConfig {
    return this.#local.sources.config();
  }

  get #own(): string {
    return this.#local.sources.node;
  }

  /** This one first. */
  #nodes(): readonly string[] {
    return [this.#own, ...this.#others.peers().toSorted()];
  }

  async #here(query: InspectTreeQuery, window: { offset: number; limit: number }, call: CallContext) {
    return this.#local.tree(query, window, call.tenant);
  }

  /** Names become ids of agents of the tenant; whoever is none is missing. */
  async #turn(feed: OpenFeed, focus: InspectFocus, call: CallContext): Promise<InspectFocus> {
    const missing = new Set<string>();
    const idsOf = async (names: readonly string[]): Promise<string[]> => {
      const ids = await Promise.all(
        names.map(async (name) => {
          if (isTree(name, nodeOfTreeId(name))) return name;
          const view = await this.#local.sources.agentView(name, call).catch(() => undefined);
          if (!view) missing.add(name);
          return view?.id;
        }),
      );
      return ids.filter((id) => id !== undefined);
    };
    const actors = await idsOf(focus.actors);
    const agents = await idsOf(focus.messages?.agents ?? []);
    // Messages of agents that are not there are not the messages of all.
    const none = focus.messages !== null && focus.messages.agents.length > 0 && agents.length === 0;
    const messages = focus.messages === null || none ? null : { ...focus.messages, agents };
    const resolved: InspectFocus = { ...focus, actors, messages };
    feed.turn(resolved, [...missing]);
    return resolved;
  }

  #arrived(stream: string, frames: readonly InspectFrame[]): void {
    const feed = this.#feeds.get(stream);
    for (const frame of frames) feed?.take(frame);
  }

  async #each<Answer>(nodes: readonly string[], ask: (node: string) => Promise<Answer>) {
    const settled = await Promise.allSettled(nodes.map(ask));
    const answers: [string, Answer][] = [];
    const unreachable: string[] = [];
    for (const [at, node] of nodes.entries()) {
      const answer = settled[at];
      if (answer?.status === 'fulfilled') answers.push([node, answer.value]);
      else if (node === this.#own && answer) throw answer.reason;
      else unreachable.push(node);
    }
    return { answers, unreachable };
  }

  /** Nodes that live, by the database, and cannot be asked. */
  async #unreachable(): Promise<readonly string[]> {
    const members = await this.#local.sources.members().catch(() => []);
    const reached = new Set(this.#nodes());
    return members.filter(({ id, state }) => state !== 'suspect' && !reached.has(id)).map(({ id }) => id);
  }
}

async function* framesOf(feed: OpenFeed, close: () => void, signal: AbortSignal) {
  try {
    yield* feed.queue.frames();
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
