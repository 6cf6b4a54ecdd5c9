// What one viewer sees of this node: its patches of the tree, its figures, its share of the event feed. The viewer may sit on another node.

import type { RuntimeEvent } from '../../contracts/event.ts';
import type { InspectFocus, InspectFrame, InspectNode } from '../../contracts/inspection.ts';
import type { Dispose } from '../../contracts/ports.ts';
import type { FocusBoard, Looker } from './focus-board.ts';
import type { NodeMeter, Reading } from './node-meter.ts';
import type { InspectSources } from './ports.ts';
import type { Redaction } from './redaction.ts';
import { agentNode, agentNodeId, groupNodes } from './tree-nodes.ts';
import { type Change, NodesDiff, type TreeFlush, type TreeWatch } from './tree-watch.ts';

/** Nodes of agents in one frame; the others come with the next. */
const AGENTS_PER_FRAME = 500;
/** Events of one flush; the others are counted. */
const EVENTS_PER_FRAME = 200;

export interface ViewParts {
  readonly sources: InspectSources;
  readonly watch: TreeWatch;
  readonly meter: NodeMeter;
  readonly board: FocusBoard;
  readonly redaction: Redaction;
  readonly deaths: () => number;
}

export interface Viewer {
  /** Of its stream. */
  readonly id: string;
  readonly tenant: string;
  readonly focus: InspectFocus;
  readonly emit: (frame: InspectFrame) => void;
}

/** States: open -> closed. */
export class LocalView {
  readonly #parts: ViewParts;
  readonly #tenant: string;
  readonly #emit: (frame: InspectFrame) => void;
  readonly #disposers: Dispose[];
  readonly #diff = new NodesDiff();
  readonly #backlog = new Map<string, Change>();
  #events: (RuntimeEvent & { node: string })[] = [];
  #eventsDropped = 0;
  #rows: ReadonlySet<string> | undefined;
  #focus: InspectFocus;
  readonly #looker: Looker;

  constructor(parts: ViewParts, viewer: Viewer) {
    this.#parts = parts;
    this.#tenant = viewer.tenant;
    this.#emit = viewer.emit;
    this.#focus = viewer.focus;
    const focus = (): InspectFocus => this.#focus;
    this.#looker = {
      id: viewer.id,
      tenant: viewer.tenant,
      get focus() {
        return focus();
      },
      actors: (items, dropped) => this.#emit({ type: 'actors', items, dropped }),
      messages: (items, dropped) => this.#emit({ type: 'messages', items, dropped }),
    };
    parts.board.add(this.#looker);
    this.focus(viewer.focus);
    const { sources, watch, meter } = parts;
    // What is there already the viewer reads itself.
    this.#diff.next(this.#groups());
    this.#disposers = [
      watch.listen((flush) => this.#flushed(flush)),
      meter.listen((reading) => this.#read(reading)),
      sources.feed.subscribe((event) => this.#happened(event), { tenant: viewer.tenant }),
    ];
  }

  /** Agents by id: whoever is not of the tenant must not be among them. */
  focus(focus: InspectFocus): void {
    const { rows } = focus;
    this.#focus = focus;
    this.#rows = rows === undefined ? undefined : new Set(rows);
    this.#parts.board.changed();
  }

  close(): void {
    this.#parts.board.remove(this.#looker.id);
    for (const dispose of this.#disposers.splice(0)) dispose();
  }

  #flushed({ revision, agents }: TreeFlush): void {
    const { sources } = this.#parts;
    for (const [id, { change, tenant }] of agents) {
      if (tenant !== this.#tenant) continue;
      const shown = change === 'structure' || this.#rows === undefined || this.#rows.has(agentNodeId(sources.node, id));
      if (shown) this.#backlog.set(id, change);
    }
    const { set, removed } = this.#diff.next(this.#groups());
    const changed: InspectNode[] = [...set];
    const gone: string[] = [...removed];
    let room = AGENTS_PER_FRAME;
    for (const id of this.#backlog.keys()) {
      if (room-- <= 0) break;
      this.#backlog.delete(id);
      const agent = sources.agentOf(id);
      if (agent === undefined || agent.state === 'terminated') gone.push(agentNodeId(sources.node, id));
      else changed.push(agentNode(sources, agent));
    }
    if (changed.length > 0 || gone.length > 0 || agents.size > 0) {
      const more = this.#backlog.size > 0;
      const { node } = sources;
      this.#emit({ type: 'tree', node, revision, set: changed, removed: gone, counts: this.#counts(), more });
    }
    this.#flushEvents();
  }

  #groups(): InspectNode[] {
    const { sources, watch, deaths } = this.#parts;
    return groupNodes(sources, this.#tenant, watch.counts(this.#tenant).total, deaths());
  }

  #counts() {
    return viewCounts(this.#parts, this.#tenant);
  }

  #read(reading: Reading): void {
    const { sources } = this.#parts;
    const { node } = sources;
    const mine = (agent: string): boolean => sources.agentOf(agent)?.tenant === this.#tenant;
    const deepest = reading.mailboxes.filter(({ agent }) => mine(agent));
    const named = new Set(deepest.map(({ agent }) => agent));
    const prefix = agentNodeId(node, '');
    const rows = [...(this.#rows ?? [])]
      .filter((id) => id.startsWith(prefix))
      .map((id) => id.slice(prefix.length))
      .filter((agent) => !named.has(agent) && mine(agent))
      .map((agent) => ({ node, agent, waiting: sources.waitingFor(agent) }));
    this.#emit({
      type: 'figures',
      at: new Date(sources.clock.nowMs()).toISOString(),
      nodes: [{ ...reading.node(this.#tenant), counts: this.#counts() }],
      threads: [...reading.threads],
      mailboxes: [...deepest, ...rows],
      unreachable: [],
    });
  }

  #happened(event: RuntimeEvent): void {
    if (!this.#focus.events) return;
    if (this.#events.length >= EVENTS_PER_FRAME) this.#eventsDropped += 1;
    else this.#events.push({ ...event, node: this.#parts.sources.node });
  }

  #flushEvents(): void {
    if (this.#events.length === 0 && this.#eventsDropped === 0) return;
    const items = this.#events.map((event) => ({ ...event, data: this.#parts.redaction.record(event.data) }));
    this.#emit({ type: 'events', items, dropped: this.#eventsDropped });
    this.#events = [];
    this.#eventsDropped = 0;
  }
}

export function viewCounts({ sources, watch }: Pick<ViewParts, 'sources' | 'watch'>, tenant: string) {
  const workflows = sources.groups().find(({ id }) => id === 'workflows')?.children ?? [];
  return {
    ...watch.counts(tenant),
    workflows: workflows.filter(({ kind, id }) => kind === 'coordinator' && sources.isWorkflowOf(id, tenant) === true)
      .length,
    threads: sources.threads().length,
  };
}
