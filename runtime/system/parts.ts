// The parts of a node and who may reach them. A new part is named here, made in the composition of its group (compose-*.ts), and, where it
// has a life of its own, started and stopped in children.ts; what it is told of the pool, the tree or the bus comes from notices.ts.

import type { AgentHome } from '../agents/agent-home.ts';
import type { AgentService } from '../agents/agent-service.ts';
import type { Departures } from '../agents/departures.ts';
import type { AgentTree } from '../agents/ports.ts';
import type { Resettle } from '../agents/resettle.ts';
import type { Sleep } from '../agents/sleep.ts';
import type { StandIns } from '../agents/stand-ins.ts';
import type { NodeWorkforce } from '../agents/workforce.ts';
import type { NodeCluster } from '../cluster/node-cluster.ts';
import type { InspectionApi } from '../contracts/inspection.ts';
import type { EventFeed } from '../contracts/ports.ts';
import type { EventsApi } from '../contracts/runtime.ts';
import type { Counts } from '../messaging/counts.ts';
import type { DeadLetters } from '../messaging/dead-letters.ts';
import type { DurableDelivery } from '../messaging/durable-delivery.ts';
import type { DurableMessages } from '../messaging/durable-messages.ts';
import type { DurableReplies } from '../messaging/durable-replies.ts';
import type { Receptionist } from '../messaging/receptionist.ts';
import type { Router } from '../messaging/router.ts';
import type { SnapshotOrder } from '../messaging/snapshot-order.ts';
import type { Metrics } from '../observe/metrics.ts';
import type { MetricsHistory } from '../observe/metrics-history.ts';
import type { NodePool } from '../pool/thread-pool.ts';
import type { SupervisionTree } from '../supervision/supervision-tree.ts';
import type { CapabilityResolver } from '../tasks/capability-resolver.ts';
import type { Dispatcher } from '../tasks/dispatcher.ts';
import type { LeaseKeeper } from '../tasks/lease-keeper.ts';
import type { Sweeper } from '../tasks/sweeper.ts';
import type { TaskService } from '../tasks/task-service.ts';
import type { WorkflowService } from '../workflows/workflow-service.ts';
import type { AgentTimers } from './agent-timers.ts';
import type { Foundation } from './foundation.ts';
import type { NodeOffers } from './local-offers.ts';
import type { CellRequests } from './requests.ts';
import type { SavingOutcomes } from './saving-outcomes.ts';
import type { NodeStatus, Phase } from './status.ts';

/** Threads, the supervision tree and the agents in them. */
export interface AgentParts {
  readonly tree: SupervisionTree;
  /** The tree as the agents' part of the runtime knows it. */
  readonly agentTree: AgentTree;
  readonly pool: NodePool;
  readonly workforce: NodeWorkforce;
  readonly home: AgentHome;
  readonly standIns: StandIns;
  readonly agents: AgentService;
  readonly departures: Departures;
  readonly sleep: Sleep;
  readonly resettle: Resettle;
}

/** What agents say to each other and ask of the node. */
export interface MessageParts {
  readonly deadLetters: DeadLetters;
  readonly counts: Counts;
  /** The other nodes, and the way to their agents. */
  readonly cluster: NodeCluster;
  readonly router: Router;
  readonly receptionist: Receptionist;
  readonly offers: NodeOffers;
  readonly timers: AgentTimers;
  readonly requests: CellRequests;
}

/** Messages that are kept until they are handled. */
export interface DurableParts {
  readonly durable: DurableMessages;
  readonly delivery: DurableDelivery;
  readonly replies: DurableReplies;
  readonly snapshots: SnapshotOrder;
  readonly outcomes: SavingOutcomes;
}

/** Tasks and workflows. */
export interface WorkParts {
  readonly resolver: CapabilityResolver;
  readonly dispatcher: Dispatcher;
  readonly tasks: TaskService;
  readonly workflows: WorkflowService;
}

/** What keeps the node going and tells how it does. */
export interface UpkeepParts {
  readonly lease: LeaseKeeper;
  readonly sweeper: Sweeper;
  readonly metrics: Metrics;
  readonly history: MetricsHistory;
  readonly status: NodeStatus;
  readonly events: EventsApi;
}

/** What it tells of itself to who looks. */
export interface InspectionParts {
  readonly inspection: InspectionApi;
}

/** What the parts know of the node's own life. */
export interface NodeLife {
  readonly phase: Phase;
  /** The node cannot go on: everything stops, and `onExit` gets the code. */
  die(code: number, why: string): Promise<void>;
}

export interface NodeBase extends Foundation {
  readonly feed: EventFeed;
  readonly life: NodeLife;
}

export interface NodeParts
  extends NodeBase,
    AgentParts,
    MessageParts,
    DurableParts,
    WorkParts,
    UpkeepParts,
    InspectionParts {}

/** The whole node, for what happens later: a part may ask for the others when it is called, never while it is made. */
export type Others = () => NodeParts;
