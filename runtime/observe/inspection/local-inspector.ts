// This node as an inspector of any node asks it: pages of its tree, its threads, one of its agents, and views that follow it.

import type { CallContext } from '../../contracts/call.ts';
import type {
  InspectCounts,
  InspectedAgent,
  InspectTreeQuery,
  NodeFigures,
  Statechart,
  ThreadDeath,
  ThreadFigures,
} from '../../contracts/inspection.ts';
import type { InspectedCell, RawChart } from '../../contracts/inspection-wire.ts';
import { AgentMemory } from './agent-memory.ts';
import { FocusBoard } from './focus-board.ts';
import { lifecycleChart } from './lifecycle-chart.ts';
import { LocalView, type Viewer, viewCounts } from './local-view.ts';
import { NodeMeter } from './node-meter.ts';
import type { InspectSources } from './ports.ts';
import { createRedaction, type Redaction } from './redaction.ts';
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
  readonly #board: FocusBoard;
  readonly #redaction: Redaction;

  constructor(sources: InspectSources) {
    this.sources = sources;
    this.#watch = new TreeWatch(sources);
    this.#meter = new NodeMeter(sources);
    this.#redaction = createRedaction(sources.secrets());
    this.#board = new FocusBoard(sources, this.#redaction);
    this.#memory = new AgentMemory(sources.clock, this.#redaction);
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
    if (alive) this.#board.rings.look(view.id);
    const { cell, problem } = alive ? await this.#cellOf(view.id) : { cell: null, problem: null };
    const { since, records } = this.#board.rings.of(view.id);
    return {
      agent: { ...view, config: this.#redaction.record(view.config), ...this.#reasonOf(view) },
      tree: alive ? agentNode(this.sources, watched) : null,
      lifecycle: lifecycleChart(watched?.state ?? view.state),
      machine: cell?.machine ? this.#chart(cell.machine) : null,
      context: cell ? this.#redaction.value(cell.context) : null,
      mailbox: cell
        ? { ...cell.mailbox, first: [...cell.mailbox.first] }
        : {
            waiting: this.sources.waitingFor(view.id),
            capacity: view.metrics?.resources.mailboxCapacity ?? 0,
            overflow: 'reject',
            first: [],
          },
      running: this.sources.running(view.id),
      messages: [...records],
      recordedSince: since,
      transitions: this.#memory.transitions(view.id),
      log: this.#memory.lines(view.id),
      problem,
    };
  }

  view(viewer: Viewer): LocalView {
    return new LocalView(
      {
        sources: this.sources,
        watch: this.#watch,
        meter: this.#meter,
        board: this.#board,
        redaction: this.#redaction,
        deaths: () => this.#deaths.count,
      },
      viewer,
    );
  }

  async #cellOf(id: string): Promise<{ cell: InspectedCell | null; problem: string | null }> {
    try {
      return { cell: await this.sources.cell(id), problem: null };
    } catch (error) {
      return { cell: null, problem: this.#redaction.text(error instanceof Error ? error.message : String(error)) };
    }
  }

  #chart({ id, definition, value, active, status, context, events }: RawChart): Statechart {
    return {
      id,
      definition: this.#redaction.json(definition),
      value,
      active: [...active],
      status,
      context: this.#redaction.value(context),
      events: [...events],
    };
  }

  #reasonOf({ reason }: { readonly reason?: string | undefined }): { readonly reason?: string } {
    return reason === undefined ? {} : { reason: this.#redaction.text(reason) };
  }
}
