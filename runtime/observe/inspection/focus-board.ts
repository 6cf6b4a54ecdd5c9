// What all views of this node want from its threads, put together and told to them when it changes; what the threads tell goes back to the views.

import type { AgentId } from '../../contracts/ids.ts';
import type { InspectFocus, MessageRecord, XStateInspection } from '../../contracts/inspection.ts';
import type { InspectionNotice, MessageFilter, RawXState, ThreadFocus } from '../../contracts/inspection-wire.ts';
import { NO_FOCUS } from '../../contracts/inspection-wire.ts';
import type { Dispose } from '../../contracts/ports.ts';
import { MessageRings } from './message-rings.ts';
import type { InspectSources } from './ports.ts';
import { presentActor, presentMessage } from './presented.ts';
import type { Redaction } from './redaction.ts';

/** The filter of the rings. */
const RINGS = 'rings';
const RING_PER_SECOND = 500;
/** XState events of the supervision tree of one gathering. */
const MAX_TREE_EVENTS = 300;
const GATHER_MS = 100;

/** A view, as far as focus goes. Agents are named by their ids. */
export interface Looker {
  readonly id: string;
  readonly tenant: string;
  readonly focus: InspectFocus;
  actors(items: XStateInspection[], dropped: number): void;
  messages(items: MessageRecord[], dropped: number): void;
}

export class FocusBoard {
  readonly rings: MessageRings;
  readonly #sources: InspectSources;
  readonly #redaction: Redaction;
  readonly #lookers = new Map<string, Looker>();
  #tellTimer: Dispose | undefined;
  #tree: Dispose | undefined;
  #treeTold: { readonly atMs: number; readonly told: RawXState }[] = [];
  #treeDropped = 0;

  constructor(sources: InspectSources, redaction: Redaction) {
    this.#sources = sources;
    this.#redaction = redaction;
    this.rings = new MessageRings(sources.clock, () => this.changed());
    sources.onNotice((notice) => {
      if (notice.type === 'inspection') this.#told(notice);
    });
  }

  add(looker: Looker): void {
    this.#lookers.set(looker.id, looker);
    this.changed();
  }

  remove(id: string): void {
    if (this.#lookers.delete(id)) this.changed();
  }

  /** Tells the threads what is wanted now: once for all changes of a turn. */
  changed(): void {
    this.#tellTimer ??= this.#sources.clock.setTimeout(() => {
      this.#tellTimer = undefined;
      this.#sources.focusThreads(this.#focus());
      this.#followTree();
    }, 0);
  }

  #focus(): ThreadFocus {
    const actors = new Set<string>();
    const messages: MessageFilter[] = [];
    for (const { id, tenant, focus } of this.#lookers.values()) {
      for (const agent of focus.actors) if (!isTree(agent, this.#sources.node)) actors.add(agent);
      if (focus.messages) messages.push(filterOf(id, tenant, focus.messages));
    }
    for (const tenant of this.#ringTenants()) messages.push(tenant);
    return actors.size === 0 && messages.length === 0 ? NO_FOCUS : { actors: [...actors] as AgentId[], messages };
  }

  #ringTenants(): MessageFilter[] {
    const byTenant = new Map<string, string[]>();
    for (const agent of this.rings.agents()) {
      const tenant = this.#sources.agentOf(agent)?.tenant;
      if (tenant !== undefined) byTenant.set(tenant, [...(byTenant.get(tenant) ?? []), agent]);
    }
    return [...byTenant].map(([tenant, agents]) => ({
      id: RINGS,
      tenant,
      agents,
      types: [],
      perSecond: RING_PER_SECOND,
      bodies: true,
    }));
  }

  #told({ thread, actors, messages, dropped }: InspectionNotice): void {
    const { node } = this.#sources;
    const parts = { node, thread, redaction: this.#redaction, livesHere: (id: string) => this.#sources.livesHere(id) };
    const records = messages.map((raw) => ({ wanted: raw.wanted, record: presentMessage(raw, parts) }));
    for (const { wanted, record } of records) if (wanted.includes(RINGS)) this.rings.add(record);
    const events = actors.map(({ agent, incarnation, atMs, told }) => ({
      agent,
      shown: presentActor(told, { node, thread, incarnation, agent, atMs }, this.#redaction),
    }));
    for (const looker of this.#lookers.values()) {
      const items = records.filter(({ wanted }) => wanted.includes(looker.id)).map(({ record }) => record);
      const lost = dropped.messages[looker.id] ?? 0;
      if (items.length > 0 || lost > 0) looker.messages(withoutBodies(items, looker), lost);
      const shown = events.filter(({ agent }) => looker.focus.actors.includes(agent)).map((event) => event.shown);
      const missed = looker.focus.actors.length > 0 ? dropped.actors : 0;
      if (shown.length > 0 || missed > 0) looker.actors(shown, missed);
    }
  }

  /** XState's own observation of the tree, while somebody wants it. */
  #followTree(): void {
    const wanted = [...this.#lookers.values()].some((looker) => this.#wantsTree(looker));
    if (!wanted) {
      this.#tree?.();
      this.#tree = undefined;
      return;
    }
    this.#tree ??= this.#sources.inspectTree((told) => {
      if (this.#treeTold.length >= MAX_TREE_EVENTS) this.#treeDropped += 1;
      else this.#treeTold.push({ atMs: this.#sources.clock.nowMs(), told });
      if (this.#treeTold.length === 1) this.#sources.clock.setTimeout(() => this.#flushTree(), GATHER_MS);
    });
  }

  #flushTree(): void {
    const [told, dropped] = [this.#treeTold, this.#treeDropped];
    this.#treeTold = [];
    this.#treeDropped = 0;
    const { node } = this.#sources;
    const place = { node, thread: 0, incarnation: 0, agent: null };
    const shown = told.map(({ told: one, atMs }) => presentActor(one, { ...place, atMs }, this.#redaction));
    for (const looker of this.#lookers.values()) if (this.#wantsTree(looker)) looker.actors(shown, dropped);
  }

  #wantsTree({ focus }: Looker): boolean {
    return focus.actors.some((name) => isTree(name, this.#sources.node));
  }
}

export const isTree = (name: string, node: string): boolean => name === 'main' || name === `${node}/main`;

function filterOf(id: string, tenant: string, given: NonNullable<InspectFocus['messages']>): MessageFilter {
  const { agents, types, correlation, perSecond, bodies } = given;
  return { id, tenant, agents, types, perSecond, bodies, ...(correlation === undefined ? {} : { correlation }) };
}

function withoutBodies(items: MessageRecord[], { focus }: Looker): MessageRecord[] {
  if (focus.messages?.bodies !== false) return items;
  return items.map(({ body: _body, ...rest }) => rest);
}
