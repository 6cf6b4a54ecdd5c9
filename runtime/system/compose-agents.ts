// Makes the supervision tree, the pool of threads and what knows the agents in them.

import { createHash } from 'node:crypto';
import { AgentHome } from '../agents/agent-home.ts';
import { AgentService } from '../agents/agent-service.ts';
import { Departures } from '../agents/departures.ts';
import type { AgentTree } from '../agents/ports.ts';
import { Resettle } from '../agents/resettle.ts';
import { Sleep } from '../agents/sleep.ts';
import { StandIns } from '../agents/stand-ins.ts';
import { NodeWorkforce } from '../agents/workforce.ts';
import { threadEnvironment } from '../config.ts';
import { canonicalJson } from '../contracts/canonical-json.ts';
import type { AgentId } from '../contracts/ids.ts';
import { createThreadPool, type NodePool } from '../pool/thread-pool.ts';
import { createSupervisionTree, type SupervisionTree } from '../supervision/supervision-tree.ts';
import { OBSERVE_MS } from './chores.ts';
import type { AgentParts, NodeBase, Others } from './parts.ts';

const SPAWN_TIMEOUT_MS = 10_000;
const STUCK_KILL_MS = 30_000;
const SETTLE_LOOK_MS = 5;

export function composeAgents(base: NodeBase, others: Others): AgentParts {
  const { ambient, node, store, manifest, feed, life } = base;
  const tree = createSupervisionTree({
    ambient,
    node,
    onEvent: (event) => feed.notice(event),
    onExit: (code, why) => void life.die(code, why),
  });
  const agentTree = agentsOf(tree);
  const pool = makePool(base, others);
  const workforce = new NodeWorkforce();
  const inOrder = <T>(id: AgentId, work: () => Promise<T>): Promise<T> => others().snapshots.run(id, work);
  const allSettled = async (id: AgentId): Promise<void> => {
    await settled(id, others());
    // What was acknowledged and the state it left commit together.
    await others().snapshots.idle(id);
  };
  const departures: Departures = new Departures({
    home: () => home,
    tree: agentTree,
    pool,
    workforce,
    store: store.agents,
    bus: base.bus,
    ambient,
    node,
    settled: allSettled,
    inOrder,
  });
  const home: AgentHome = new AgentHome({
    store,
    tree: agentTree,
    pool,
    workforce,
    manifest,
    node,
    ambient,
    settled: allSettled,
    inOrder,
    departing: (id, timeoutMs) => departures.halt(id, timeoutMs),
    onUnobserved: () => others().sweeper.soon('agent-states', OBSERVE_MS),
  });
  const sleep = new Sleep({
    home,
    departures,
    pool,
    store: store.agents,
    manifest,
    bus: base.bus,
    ambient,
    busy: (id) => !workforce.isFree(id),
    drainMs: base.options.config.drainMs,
  });
  const { cluster, agents: rows } = store;
  const resettle = new Resettle({ node, home, sleep, departures, pool, agents: rows, cluster, ambient });
  const standIns = new StandIns({
    pool,
    specFor: (agent, standIn) => home.standInFor(agent, standIn),
    ambient,
  });
  const agents = new AgentService({
    store,
    home,
    tree: agentTree,
    pool,
    manifest,
    feed,
    ambient,
    node,
    elsewhere: () => (store.kind === 'postgres' || sleep.any ? others().cluster : undefined),
    runningOn: (id) => others().dispatcher.runningOn(id),
    durable: () => others().durable,
    draining: () => life.phase !== 'running',
    held: () => store.kind === 'pglite' || others().lease.sure,
    bus: base.bus,
    labels: base.options.config.labels,
    hash: (value) => createHash('sha256').update(canonicalJson(value)).digest('hex'),
  });
  return { tree, agentTree, pool, workforce, home, standIns, agents, departures, sleep, resettle };
}

function makePool({ options, ambient, node, store }: NodeBase, others: Others): NodePool {
  const { config, threads } = options;
  return createThreadPool(
    {
      threads,
      node,
      maxOldGenerationSizeMb: config.threadHeapMb,
      beatMs: config.beatMs,
      stuckAfterMs: config.stuckAfterMs,
      stuckKillMs: STUCK_KILL_MS,
      graceMs: config.graceMs,
      spawnTimeoutMs: SPAWN_TIMEOUT_MS,
      env: threadEnvironment(config, process.env),
      onRequest: (cell, request) => others().requests.answer(cell, request),
      // An embedded database is this node's own: there are no others, and who is not here is nobody, or sleeps.
      remote: () => (store.kind === 'postgres' || others().sleep.any ? others().cluster : undefined),
    },
    ambient,
  );
}

/** Waits until nothing of this agent is being settled; what runs there when it is lost settles as lost. */
async function settled(id: AgentId, { ambient, life, dispatcher }: ReturnType<Others>): Promise<void> {
  while (life.phase !== 'stopped' && dispatcher.runningOn(id).length > 0) {
    await new Promise<void>((resolve) => ambient.clock.setTimeout(resolve, SETTLE_LOOK_MS));
  }
}

function agentsOf({ agents }: SupervisionTree): AgentTree {
  return {
    spawn: (agent) => agents.spawn(agent),
    stop: (id, mode, timeoutMs) => agents.stop(id, mode, timeoutMs),
    watch: (id, listener) => agents.watch(id, listener),
    get(id) {
      const view = agents.get(id);
      if (view === undefined) return undefined;
      const { state, incarnation, restarts, errors, startedAtMs } = view;
      return {
        state,
        thread: view.thread ?? null,
        incarnation,
        restarts,
        errors,
        reason: view.reason ?? null,
        startedAtMs,
      };
    },
  };
}
