// A CPU profile as a tree of frames with their times, laid out as an icicle: callers above, callees below. Pure.

import { type HierarchyRectangularNode, hierarchy, partition } from 'd3-hierarchy';
import type { CpuProfile } from '../../../../runtime/contracts/inspection.ts';

export interface Frame {
  readonly id: number;
  readonly name: string;
  /** File and line, or empty. */
  readonly place: string;
  /** Whose code: the runtime's or user's own, a package's, or Node's. */
  readonly origin: 'own' | 'package' | 'node';
  readonly selfUs: number;
  readonly children: readonly Frame[];
}

export interface FlameFigures {
  readonly root: Frame;
  readonly idleUs: number;
  readonly busyUs: number;
}

export type LaidFrame = HierarchyRectangularNode<Frame>;

/** Names V8 gives to what is no code. */
const IDLE = '(idle)';

export function flameOf(profile: CpuProfile): FlameFigures {
  const selfUs = new Map<number, number>();
  profile.samples.forEach((id, index) => {
    selfUs.set(id, (selfUs.get(id) ?? 0) + Math.max(0, profile.timeDeltas[index] ?? 0));
  });
  const byId = new Map(profile.nodes.map((node) => [node.id, node]));
  const isIdle = (id: number): boolean => byId.get(id)?.callFrame.functionName === IDLE;
  const frameOf = (id: number): Frame => {
    const { callFrame, children = [] } = byId.get(id) ?? { callFrame: UNKNOWN };
    return {
      id,
      name: callFrame.functionName || '(anonymous)',
      place: callFrame.url === '' ? '' : `${fileOf(callFrame.url)}:${callFrame.lineNumber + 1}`,
      origin: originOf(callFrame.url),
      selfUs: selfUs.get(id) ?? 0,
      children: children.filter((child) => !isIdle(child)).map(frameOf),
    };
  };
  const total = [...selfUs.values()].reduce((sum, us) => sum + us, 0);
  const idleUs = [...selfUs].reduce((sum, [id, us]) => sum + (isIdle(id) ? us : 0), 0);
  return { root: frameOf(profile.nodes[0]?.id ?? 0), idleUs, busyUs: total - idleUs };
}

const UNKNOWN = { functionName: '(unknown)', scriptId: '', url: '', lineNumber: 0, columnNumber: 0 };

/** Frames with places from 0 to 1, as wide as their time. Thinner than `least` are left out. */
export function layOutFlame(root: Frame, least: number): readonly LaidFrame[] {
  const tree = hierarchy(root, ({ children }) => children)
    .sum(({ selfUs }) => selfUs)
    .sort((a, b) => (b.value ?? 0) - (a.value ?? 0));
  return partition<Frame>()(tree)
    .descendants()
    .filter(({ x0, x1 }) => x1 - x0 >= least);
}

export interface Hot {
  readonly name: string;
  readonly place: string;
  readonly selfUs: number;
}

/** Functions by the time spent in themselves, wherever they were called from. */
export function hottest(root: Frame, most: number): readonly Hot[] {
  const sums = new Map<string, Hot>();
  const visit = ({ name, place, selfUs, children }: Frame): void => {
    const key = `${name} ${place}`;
    sums.set(key, { name, place, selfUs: (sums.get(key)?.selfUs ?? 0) + selfUs });
    for (const child of children) visit(child);
  };
  visit(root);
  return [...sums.values()]
    .filter(({ selfUs }) => selfUs > 0)
    .toSorted((a, b) => b.selfUs - a.selfUs)
    .slice(0, most);
}

function fileOf(url: string): string {
  const path = url.replace(/^file:\/\//, '').replace(/[?#].*$/, '');
  const inPackage = path.lastIndexOf('/node_modules/');
  if (inPackage >= 0) return path.slice(inPackage + '/node_modules/'.length);
  return path.split('/').slice(-2).join('/');
}

function originOf(url: string): Frame['origin'] {
  if (url === '' || url.startsWith('node:')) return 'node';
  return url.includes('/node_modules/') ? 'package' : 'own';
}
