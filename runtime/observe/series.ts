// The Prometheus series of a node: names after its conventions (base units, `_total` for what only grows), labels of few values only. An
// identifier of an agent, task, run or message is never a label.

import { Counter, Gauge, Histogram, type Registry } from 'prom-client';

const PREFIX = 'troupe_';
/** Seconds. */
const SHORT = [0.001, 0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 5, 30];
const LONG = [0.005, 0.01, 0.05, 0.1, 0.5, 1, 5, 15, 60, 300, 1_800, 86_400];
const BATCH = [1, 2, 5, 10, 25, 50, 100, 250, 500, 1_000, 2_000];

export function makeSeries(registry: Registry) {
  const registers = [registry];
  const gauge = <Label extends string>(name: string, help: string, labelNames: Label[] = []) =>
    new Gauge({ name: PREFIX + name, help, labelNames, registers });
  const counter = <Label extends string>(name: string, help: string, labelNames: Label[] = []) =>
    new Counter({ name: PREFIX + name, help, labelNames, registers });
  const histogram = <Label extends string>(name: string, help: string, buckets: number[], labelNames: Label[] = []) =>
    new Histogram({ name: PREFIX + name, help, buckets, labelNames, registers });
  return {
    info: gauge('build_info', 'Version of this node.', ['version']),
    events: counter('events_total', 'Events seen by this node, by type.', ['type']),

    accepted: counter('tasks_accepted_total', 'Tasks that this node accepted.'),
    tasks: counter('tasks_ended_total', 'Tasks that this node brought to a terminal state.', ['outcome']),
    retries: counter('task_retries_total', 'Attempts that are to be made again.'),
    attempts: counter('task_attempts_total', 'Attempts of this node, by what came of them.', ['result']),
    assignment: histogram('task_assignment_seconds', 'From acceptance of a task to its first start.', SHORT),
    run: histogram('task_run_seconds', 'Run time of the last attempt.', LONG, ['outcome']),
    tokens: counter('tokens_total', 'Tokens used by attempts of tasks, by type of the agent.', ['type']),
    cost: counter('cost_total', 'Cost reported by attempts of tasks, by type of the agent.', ['type']),
    messages: counter('task_messages_total', 'Messages sent by handlers of tasks, by type of the agent.', ['type']),
    openTasks: gauge('tasks', 'Tasks in the database, by state: of all nodes.', ['state']),
    queueDepth: gauge('queue_tasks', 'Tasks waiting in a queue (the deepest 100; those pinned to an agent as one).', [
      'queue',
    ]),
    queueAge: gauge('queue_oldest_seconds', 'Age of the oldest waiting task.', ['queue']),

    workflows: histogram('workflow_wall_seconds', 'From start to end of a workflow.', LONG, ['pattern', 'status']),
    overhead: histogram('workflow_overhead_seconds', 'Wall time of a workflow beyond its critical path.', LONG, [
      'pattern',
    ]),

    agents: gauge('agents', 'Agents of this node by state.', ['state']),
    agentTypes: gauge('agents_by_type', 'Agents of this node by type.', ['type']),
    restarts: counter('agent_restarts_total', 'Restarts by supervisors.'),
    recovery: histogram('agent_recovery_seconds', 'From a crash of an agent to its being idle again.', SHORT),
    detection: histogram(
      'failure_detection_seconds',
      'From the last sign of life of a thread to the notice of its end.',
      SHORT,
    ),
    mailboxes: gauge('mailbox_messages', 'Messages waiting in the mailboxes of this node.'),

    threads: gauge('threads', 'Threads by liveness.', ['liveness']),
    deaths: counter('thread_deaths_total', 'Threads that ended otherwise than on purpose.', ['reason']),
    utilization: gauge('thread_utilization_ratio', 'Event loop utilization of a thread, 0 to 1.', ['thread']),
    threadHeap: gauge('thread_heap_bytes', 'V8 heap of a thread.', ['thread']),
    threadCells: gauge('thread_actors', 'Actors in a thread.', ['thread']),
    threadMessages: counter('thread_messages_total', 'Messages of a thread since it began.', ['thread', 'direction']),

    deadLetters: counter('dead_letters_total', 'Messages nobody took.', ['reason']),
    sent: counter('messages_sent_total', 'Messages sent through the API of this node and to many.', ['protocol']),
    attempted: counter('message_deliveries_total', 'Deliveries of messages to many that were tried.'),
    filtered: counter('messages_filtered_total', 'Messages that a filter kept from its receiver.', ['how']),
    lateReplies: counter('late_replies_total', 'Replies that nobody waited for any more.'),
    replayedReplies: counter('replayed_replies_total', 'Questions that were answered with an earlier reply.'),
    durable: counter('durable_messages_total', 'Durable messages by what came of them.', ['outcome']),
    backlog: gauge('durable_backlog_messages', 'Durable messages in the inboxes of all nodes.'),
    backlogAge: gauge('durable_backlog_oldest_seconds', 'Wait of the oldest of them.'),

    peers: gauge('cluster_peers', 'Other nodes that can be sent to.'),
    clusterMessages: counter('cluster_messages_total', 'Messages from and to other nodes.', ['direction']),
    clusterFrames: counter('cluster_frames_total', 'Frames from and to other nodes.', ['direction']),
    framesDropped: counter('cluster_frames_dropped_total', 'Frames that came and were not taken.', ['reason']),
    framesResent: counter('cluster_frames_resent_total', 'Frames sent again because no acknowledgement came.'),
    clusterLost: counter('cluster_messages_undelivered_total', 'Messages to other nodes that were not delivered.', [
      'outcome',
    ]),
    clusterWaiting: gauge('cluster_waiting_messages', 'Messages that wait to be sent or acknowledged.'),
    busUp: gauge('bus_up', 'Whether hints reach other nodes.', ['kind']),
    hints: counter('bus_hints_total', 'Hints between parts and nodes.', ['direction']),

    storeUp: gauge('store_up', 'Whether the database answers.'),
    flush: histogram('store_flush_seconds', 'One group commit, from its statements to their answer.', SHORT),
    flushSize: histogram('store_flush_operations', 'Operations that one group commit carried.', BATCH),
    flushFailures: counter('store_flush_failures_total', 'Group commits that failed.'),
    connections: gauge('store_connections', 'Connections to the database.', ['state']),
    storeWaiting: gauge('store_waiting_operations', 'What waits for a connection, or for the next group commit.', [
      'for',
    ]),

    uptime: gauge('uptime_seconds', 'Since the node started.'),
    resident: gauge('process_resident_memory_bytes', 'Resident memory.'),
    heapUsed: gauge('process_heap_used_bytes', 'Heap in use on the main thread.'),
    cpu: counter('process_cpu_seconds_total', 'Processor time of the process since it began.', ['mode']),
    loop: gauge('event_loop_utilization_ratio', 'Share of time the main event loop was busy since the start, 0 to 1.'),
  };
}

export type Series = ReturnType<typeof makeSeries>;
