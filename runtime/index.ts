// The door of the package: a running node with the shipped agents and patterns as defaults.

import { createRequire } from 'node:module';
import { availableParallelism } from 'node:os';
import { auction } from '../patterns/auction.ts';
import { auto } from '../patterns/auto.ts';
import { consensus } from '../patterns/consensus.ts';
import { hierarchical } from '../patterns/hierarchical.ts';
import { parallel } from '../patterns/parallel.ts';
import { pipeline } from '../patterns/pipeline.ts';
import { sequential } from '../patterns/sequential.ts';
import { swarm } from '../patterns/swarm.ts';
import type { ModuleRoot } from './agents/manifest.ts';
import { type Config, type ConfigInput, resolveConfig } from './config.ts';
import type { CoordinationStrategy } from './contracts/coordination.ts';
import type { Ambient } from './contracts/ports.ts';
import { strategiesOf } from './library/define-strategy.ts';
import { type Troupe, withHandles } from './library/troupe.ts';
import { startSystem } from './system.ts';

export {
  type CommonFields,
  type StepDefinition,
  type WorkflowBuilder,
  type WorkflowDefinition,
  workflow,
} from '../patterns/workflow-builder.ts';
export { type Config, type ConfigInput, printableConfig, resolveConfig } from './config.ts';
export type { AgentView, CreateAgent, UpdateAgent } from './contracts/agent.ts';
export type {
  Bid,
  Candidate,
  CoordinationCommand,
  CoordinationEvent,
  CoordinationStrategy,
  Decision,
  HumanRequest,
  StepView,
  StopReason,
  Verdict,
  WorkflowProblem,
} from './contracts/coordination.ts';
export type { TellResult } from './contracts/envelope.ts';
export { RuntimeError, TaskError, type WireError } from './contracts/errors.ts';
export type { RuntimeEvent } from './contracts/event.ts';
export type {
  InspectFeed,
  InspectFocus,
  InspectFrame,
  InspectionApi,
  MessageRecord,
  XStateInspection,
} from './contracts/inspection.ts';
export type {
  ChannelMember,
  ChannelView,
  CreateChannel,
  FanOut,
  MessageFilter,
  MessageStatistics,
  Offers,
  Selector,
  SendMessage,
  SendResult,
  Subscribe,
  Subscription,
} from './contracts/messages.ts';
export type { ChannelsApi, MessagesApi } from './contracts/messages-api.ts';
export type { CallContext, SystemStatus, TroupeRuntime } from './contracts/runtime.ts';
export type { Terminated } from './contracts/supervision.ts';
export type { CancelReport, SubmitTask, TaskView } from './contracts/task.ts';
export type { CreateWorkflow, WorkflowSpec, WorkflowView } from './contracts/workflow.ts';
export { defineStrategy } from './library/define-strategy.ts';
export type { AgentRef, RunHandle, TaskHandle } from './library/handles.ts';
export { type StatelyAdapter, tellStately } from './library/stately.ts';
export type { Troupe } from './library/troupe.ts';

/** What beyond the configuration can be given to {@link createTroupe}. */
export interface TroupeOptions extends ConfigInput {
  /** Patterns beside the shipped ones, made by {@link defineStrategy}. Every node on the same database needs the same ones. */
  readonly strategies?: readonly CoordinationStrategy[];
  /** The node could not go on and has stopped itself. Default: the process exits with `code`. */
  readonly onExit?: (code: number, why: string) => void;
  /** Clock, randomness, ids and logger of a test. */
  readonly ambient?: Ambient;
}

const SHIPPED = [
  sequential,
  parallel,
  pipeline,
  hierarchical,
  swarm,
  consensus,
  auction,
  auto,
] as readonly CoordinationStrategy[];
const LEAST_THREADS = 2;
const PING_MS = 1_000;

/**
 * Starts a node in this process: options first, then the environment, then defaults.
 * Without `databaseUrl` its data is in an embedded database under `dataDir` (`memory://` keeps nothing).
 * @throws RuntimeError `config_invalid`, `store_locked`, `store_foreign`, `store_unavailable`, `schema_version`, `not_a_module`.
 *
 * @example
 * await using troupe = await createTroupe({ agentRoots: ['agents'] });
 * const agent = await troupe.agents.spawn('greeter');
 */
export async function createTroupe(options: TroupeOptions = {}): Promise<Troupe> {
  const { strategies = [], onExit, ambient, ...given } = options;
  const config = resolveConfig(given, process.env);
  const system = await startSystem({
    config,
    roots: [...shippedRoots(config), ...config.agentRoots.map((at): ModuleRoot => ({ at }))],
    strategies: strategiesOf(SHIPPED, strategies),
    version: (createRequire(import.meta.url)(packageJson()) as { version: string }).version,
    threads: config.threads ?? Math.max(LEAST_THREADS, availableParallelism()),
    onExit: onExit ?? ((code) => process.exit(code)),
    ollama: () => ping(config.ollamaHost),
    ...(ambient ? { ambient } : {}),
  });
  return withHandles(system);
}

/** Agents that come with the package; the probe stays dormant in production unless it is asked for. */
function shippedRoots({ probe }: Config): readonly ModuleRoot[] {
  const withProbe = probe ?? process.env.NODE_ENV !== 'production';
  return [
    ...[
      'research/research-agent',
      'analysis/analysis-agent',
      'generation/generation-agent',
      'planning/planner-agent',
    ].map((name) => ({
      at: shipped(name),
    })),
    { at: shipped('probe/probe'), dormant: !withProbe },
  ];
}

/** Sources in development, compiled modules in the package. */
function shipped(name: string): URL {
  return new URL(`../actors/${name}${import.meta.url.endsWith('.ts') ? '.ts' : '.js'}`, import.meta.url);
}

function packageJson(): string {
  return import.meta.url.endsWith('.ts') ? '../package.json' : '../../package.json';
}

async function ping(host: string): Promise<'up' | 'down'> {
  const url = /^https?:\/\//.test(host) ? host : `http://${host}`;
  return fetch(new URL('/api/version', url), { signal: AbortSignal.timeout(PING_MS) }).then(
    ({ ok }) => (ok ? 'up' : 'down'),
    () => 'down',
  );
}
