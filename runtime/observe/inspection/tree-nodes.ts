// The supervision tree of this node as flat nodes with stable ids. Builds, remembers nothing.

import type { InspectKind, InspectNode } from '../../contracts/inspection.ts';
import type { TreeNode } from '../../contracts/runtime.ts';
import { redactText } from '../redact.ts';
import type { InspectSources, WatchedAgent } from './ports.ts';

const GROUPS: Readonly<Record<string, InspectKind>> = {
  threads: 'threads',
  cluster: 'cluster',
  agents: 'agents',
  workflows: 'workflows',
  work: 'work',
  edge: 'edge',
};

export const agentsNodeId = (node: string): string => `${node}/agents`;
export const agentNodeId = (node: string, agent: string): string => `${node}/agents/${agent}`;
export const threadNodeId = (node: string, thread: number): string => `${node}/threads/${thread}`;

/** The node an id of the tree belongs to. */
export const nodeOfTreeId = (id: string): string => id.split('/', 1)[0] ?? '';

const REASON_CHARS = 300;

export function agentNode(sources: InspectSources, agent: WatchedAgent): InspectNode {
  const { node } = sources;
  const { id, type, state, thread, incarnation, restarts, errors, startedAtMs } = agent;
  const why = agent.error?.message ?? agent.reason;
  return {
    id: agentNodeId(node, id),
    parent: agentsNodeId(node),
    kind: 'agent',
    name: sources.nameOf(id) ?? id,
    type,
    state,
    node,
    thread: thread ?? null,
    incarnation,
    ...(thread === undefined ? {} : { session: `${node}/${thread}/${incarnation}/${id}` }),
    restarts,
    errors,
    mailbox: sources.waitingFor(id),
    children: 0,
    subject: id,
    ...(why === undefined ? {} : { reason: redactText(why).slice(0, REASON_CHARS) }),
    ...(startedAtMs > 0 ? { startedAt: new Date(startedAtMs).toISOString() } : {}),
  };
}

/** Everything but the agents: root, groups, threads, workflows of the tenant with their steps, fixed parts. Parents come before children. */
export function groupNodes(sources: InspectSources, tenant: string, agents: number, deaths: number): InspectNode[] {
  const { node } = sources;
  const groups = sources.groups();
  const nodes: InspectNode[] = [
    { ...bare(node, `${node}/root`, null, 'root', node), state: sources.rootState(), children: groups.length },
  ];
  const mail = mailByThread(sources);
  for (const group of groups) {
    const id = `${node}/${group.id}`;
    const below =
      group.id === 'threads'
        ? [...threadNodes(sources, mail), ...fixedNodes(sources, group, id)]
        : group.id === 'workflows'
          ? [...workflowNodes(sources, group, id, tenant), ...fixedNodes(sources, group, id)]
          : fixedNodes(sources, group, id);
    const direct = group.id === 'agents' ? agents : below.filter(({ parent }) => parent === id).length;
    const kind = GROUPS[group.id] ?? 'child';
    nodes.push({
      ...bare(node, id, `${node}/root`, kind, group.id),
      state: group.state,
      children: direct,
      restarts: group.id === 'threads' ? deaths : 0,
    });
    for (const one of below) nodes.push(one);
  }
  return nodes;
}

function threadNodes(sources: InspectSources, mail: ReadonlyMap<number, number>): InspectNode[] {
  const { node } = sources;
  return sources.threads().map((stats) => ({
    ...bare(node, threadNodeId(node, stats.thread), `${node}/threads`, 'thread', `thread ${stats.thread}`),
    state: stats.liveness,
    thread: stats.thread,
    mailbox: mail.get(stats.thread) ?? 0,
    children: 0,
    subject: String(stats.thread),
    ...(stats.dedicatedTo === undefined ? {} : { type: 'dedicated', reason: `only for ${stats.dedicatedTo}` }),
  }));
}

function workflowNodes(sources: InspectSources, group: TreeNode, parent: string, tenant: string): InspectNode[] {
  const { node } = sources;
  return group.children
    .filter(({ kind, id }) => kind === 'coordinator' && sources.isWorkflowOf(id, tenant) === true)
    .flatMap((run) => {
      const id = `${parent}/${run.id}`;
      const own: InspectNode = {
        ...bare(node, id, parent, 'workflow', run.id),
        state: run.state,
        children: run.children.length,
        subject: run.id,
      };
      const steps = run.children.map((step): InspectNode => {
        const name = step.id.slice(run.id.length + 1);
        return { ...bare(node, `${id}/${name}`, id, 'step', name), state: step.state, subject: run.id };
      });
      return [own, ...steps];
    });
}

/** What belongs to the group for good: the pool, the dispatcher ... */
function fixedNodes({ node }: InspectSources, group: TreeNode, parent: string): InspectNode[] {
  return group.children
    .filter(({ kind }) => kind === 'child')
    .map((child) => ({ ...bare(node, `${parent}/${child.id}`, parent, 'child', child.id), state: child.state }));
}

function bare(node: string, id: string, parent: string | null, kind: InspectKind, name: string): InspectNode {
  return { id, parent, kind, name, state: '', node, thread: null, restarts: 0, mailbox: null, children: 0 };
}

export function mailByThread(sources: InspectSources): Map<number, number> {
  const byThread = new Map<number, number>();
  for (const { thread, waiting } of sources.mail()) byThread.set(thread, (byThread.get(thread) ?? 0) + waiting);
  return byThread;
}
