// The supervision tree of all nodes as the page knows it: read in pages when the feed opens, kept by its patches.

import { computed, effect, signal } from '@preact/signals';
import type { InspectCounts, InspectFrame, InspectNode, InspectTree } from '../../../runtime/contracts/inspection.ts';
import { ApiError, api } from './client.ts';
import { liveEpoch, liveState, onFrame } from './live.ts';

type Patch = Extract<InspectFrame, { type: 'tree' }>;

/** Most nodes that are read; beyond it the search asks the server. */
const MOST_NODES = 20_000;
const PAGE = 1_000;
/** How long a row shows that it was restarted or came to be. */
export const FLASH_MS = 2_500;

let nodes = new Map<string, InspectNode>();
let below = new Map<string, Set<string>>();
let revisions: Record<string, number> = {};
let held: Patch[] | null = null;
/** When a node was restarted or a thread died, by the clock of this machine. */
const flashes = new Map<string, number>();

/** Grows with every change of what is read from the functions below. */
export const treeVersion = signal(0);
export const treeCounts = signal<Readonly<Record<string, InspectCounts>>>({});
export const treeError = signal<ApiError | undefined>(undefined);
export const treeLoaded = signal(false);
/** How many there are that are not known here. */
export const treeLeftOut = signal(0);

export const treeRoots = computed<readonly InspectNode[]>(() => {
  treeVersion.value;
  return [...nodes.values()].filter((node) => node.parent === null);
});

export function treeNode(id: string): InspectNode | undefined {
  return nodes.get(id);
}

export function childrenOf(id: string): readonly InspectNode[] {
  return [...(below.get(id) ?? [])].flatMap((child) => nodes.get(child) ?? []);
}

export function allNodes(): Iterable<InspectNode> {
  return nodes.values();
}

/** Whether something happened to it just now. */
export function isFlashing(id: string): boolean {
  const since = flashes.get(id);
  return since !== undefined && Date.now() - since < FLASH_MS;
}

let kept = false;

/** Keeps the tree from now on. Views call it; it begins once. */
export function keepTree(): void {
  if (kept) return;
  kept = true;
  onFrame('tree', (patch) => {
    if (held) held.push(patch);
    else apply(patch);
  });
  effect(() => {
    liveEpoch.value;
    if (liveState.value === 'open') void load();
  });
}

/** Patches that come while the pages are read are applied after them. */
async function load(): Promise<void> {
  if (held) return;
  held = [];
  const found = new Map<string, InspectNode>();
  try {
    let cursor: string | undefined;
    let page: InspectTree;
    let first: InspectTree | undefined;
    do {
      page = await api.get<InspectTree>('/api/inspect/tree', { limit: PAGE, cursor });
      first ??= page;
      for (const node of page.items) found.set(node.id, node);
      cursor = page.nextCursor ?? undefined;
    } while (cursor !== undefined && found.size < MOST_NODES);
    take(found, first);
    treeLeftOut.value = Math.max(0, page.total - found.size);
    treeError.value = undefined;
  } catch (error) {
    treeError.value =
      error instanceof ApiError ? error : new ApiError(String(error), { status: 0, code: 'page_error' });
  } finally {
    const waiting = held ?? [];
    held = null;
    for (const patch of waiting) apply(patch);
    treeLoaded.value = true;
  }
}

function take(found: Map<string, InspectNode>, first: InspectTree): void {
  const old = nodes;
  nodes = found;
  below = new Map();
  for (const node of found.values()) {
    link(node);
    noteRestart(old.get(node.id), node);
  }
  // Of the first page: what changed while the others were read comes again, whole.
  revisions = { ...first.revisions };
  treeCounts.value = first.counts;
  changed();
}

function apply(patch: Patch): void {
  if (patch.revision < (revisions[patch.node] ?? 0)) return; // in the answer already
  revisions[patch.node] = patch.revision;
  for (const id of patch.removed) {
    const node = nodes.get(id);
    nodes.delete(id);
    below.delete(id);
    if (node?.parent) below.get(node.parent)?.delete(id);
    flashes.delete(id);
  }
  for (const node of patch.set) {
    const old = nodes.get(node.id);
    if (old && old.parent !== node.parent && old.parent) below.get(old.parent)?.delete(node.id);
    nodes.set(node.id, node);
    link(node);
    noteRestart(old, node);
  }
  treeCounts.value = { ...treeCounts.peek(), [patch.node]: patch.counts };
  changed();
}

function link(node: InspectNode): void {
  if (node.parent === null) return;
  const siblings = below.get(node.parent) ?? new Set();
  below.set(node.parent, siblings);
  siblings.add(node.id);
}

function noteRestart(old: InspectNode | undefined, node: InspectNode): void {
  if (!old || node.restarts <= old.restarts) return;
  flashes.set(node.id, Date.now());
  setTimeout(changed, FLASH_MS + 50);
}

let scheduled = false;
/** However many patches come, what shows them is drawn once a frame. */
function changed(): void {
  if (scheduled) return;
  scheduled = true;
  const tell = (): void => {
    scheduled = false;
    treeVersion.value += 1;
  };
  if (document.visibilityState === 'visible') requestAnimationFrame(tell);
  else setTimeout(tell, 1_000);
}
