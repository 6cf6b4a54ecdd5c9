// This node as an inspector of any node asks it: pages of its tree, its threads, one of its agents, and views that follow it.

import type { CallContext } from '../../contracts/call.ts';
import type {
  InspectCounts,
  InspectedAgent,
  InspectFocus,
  InspectFrame,
  InspectTreeQuery,
  NodeFigures,
  ThreadDeath,
  ThreadFigures,
} from '../../contracts/inspection.ts';
import { redact } from '../redact.ts';
import { AgentMemory } from './agent-memory.ts';
import { lifecycleChart } from './lifecycle-chart.ts';
import { LocalView, viewCounts } from './local-view.ts';
import { NodeMeter } from './node-meter.ts';
import type { InspectSources } from './ports.ts';
import { ThreadDeaths } from './thread-deaths.ts';
import { agentNode } from './tree-nodes.ts';
import { type LocalPage, localPage } from './tree-page.ts';
import { TreeWatch } from './tree-watch.ts';

export interface LocalTree extends LocalPage {
  readonly revision: number;
  readonly counts: InspectCounts;
}

export interface LocalThreads {
  readonly items: readonly ThreadFigures[];
  readonly deaths: readonly ThreadDeath[];
  readonly restarts: number;
}

export class LocalInspector {
  readonly sources: InspectSources;
  readonly #watch: TreeWatch;
  readonly #meter: NodeMeter;
  readonly #memory: AgentMemory;
  readonly #deaths: ThreadDeaths;

  constructor(sources: InspectSources) {
    this.sources = sources;
    this.#watch = new TreeWatch(sources);
    this.#meter = new NodeMeter(sources);
    this.#memory = new AgentMemory(sources.clock);
    this.#deaths = new ThreadDeaths(sources.node, sources.clock);
    sources.onTransition((transition) => this.#memory.moved(transition));
    sources.onNotice((notice) => {
      if (notice.type === 'thread.down') this.#deaths.add(notice);
      else if (notice.type === 'log' && notice.id !== null) this.#memory.said(notice.id, notice.line);
    });
  }

  get revision(): number {
    return this.#watch.revision;
  }

  tree(query: InspectTreeQuery, window: { offset: number; limit: number }, tenant: string): LocalTree {
    const revision = this.#watch.revision;
    const page = localPage(this.sources, tenant, query, { ...window, deaths: this.#deaths.count });
    return { revision, ...page, counts: this.counts(tenant) };
  }

  counts(tenant: string): InspectCounts {
    return viewCounts({ sources: this.sources, watch: this.#watch }, tenant);
  }

  threads(): LocalThreads {
    return {
      items: this.#meter.read().threads,
      deaths: this.#deaths.last(),
      restarts: this.#deaths.count,
    };
  }

  async figures(tenant: string): Promise<NodeFigures> {
    await this.#meter.queueOf(tenant);
    return { ...this.#meter.read().node(tenant), counts: this.counts(tenant) };
  }

  /** Throws `actor_not_found`. */
  async agent(idOrName: string, call: CallContext): Promise<InspectedAgent> {
    const view = await this.sources.agentView(idOrName, call);
    const watched = this.sources.agentOf(view.id);
    const alive = watched !== undefined && watched.state !== 'terminated';
    const { context, problem } = alive ? await this.#contextOf(view.id) : { context: null, problem: null };
    return {
      agent: { ...view, config: redact(view.config) as Record<string, unknown> },
      tree: alive ? agentNode(this.sources, watched) : null,
      lifecycle: lifecycleChart(watched?.state ?? view.state),
      machine: null,
      context,
      mailbox: {
        waiting: this.sources.waitingFor(view.id),
        capacity: view.metrics?.resources.mailboxCapacity ?? 0,
        overflow: 'reject',
        first: [],
      },
      running: [],
      messages: [],
      recordedSince: null,
      transitions: this.#memory.transitions(view.id),
      log: this.#memory.lines(view.id),
      problem,
    };
  }

  view(tenant: string, focus: InspectFocus, emit: (frame: InspectFrame) => void): LocalView {
    const { sources } = this;
    const parts = { sources, watch: this.#watch, meter: this.#meter, deaths: () => this.#deaths.count };
    return new LocalView(parts, { tenant, focus, emit });
  }

  async #contextOf(id: string): Promise<{ context: unknown; problem: string | null }> {
    try {
      return { context: redact((await this.sources.snapshot(id)) ?? null), problem: null };
    } catch (error) {
      return { context: null, problem: error instanceof Error ? error.message : String(error) };
    }
  }
}
