// Carries what the pool, the tree, the store and the bus tell to the parts concerned.

import type { AgentId } from '../contracts/ids.ts';
import { outsideSpans } from '../contracts/tracing.ts';
import type { PoolNotice } from '../contracts/wire.ts';
import { STORE_GONE_EXIT_CODE } from './exit-codes.ts';
import type { NodeParts } from './parts.ts';

export function carryNotices(parts: NodeParts): void {
  const {
    pool,
    tree,
    agentTree,
    home,
    requests,
    offers,
    store,
    bus,
    life,
    workforce,
    sweeper,
    delivery,
    replies,
    sleep,
  } = parts;
  pool.onNotice((notice) => onNotice(notice, parts));
  tree.agents.onTransition(({ id, to }) => {
    const over = to === 'terminated';
    // Only an end has a reason, and looking an agent up makes a view of it.
    home.onTransition(id as AgentId, to, over ? (agentTree.get(id as AgentId)?.reason ?? null) : null);
    if (over) requests.forget(id as AgentId);
    if (over) delivery.forget(id as AgentId);
    else if (to === 'idle' || to === 'paused') delivery.awake(id as AgentId);
    offers.onTransition(id as AgentId, to);
  });
  // A server comes back by itself; the thread of the embedded database does not.
  store.onHealth((up) => {
    if (!up && store.kind === 'pglite') void life.die(STORE_GONE_EXIT_CODE, 'the embedded database is gone');
  });
  bus.subscribe((hint) => {
    if (hint.type === 'queue' && hint.queue.startsWith('agent:')) workforce.mention(hint.queue);
    if (hint.type === 'queue' && sleep.any) sweeper.soon('agent-wake');
    if (hint.type === 'agent') {
      sweeper.soon('agent-commands');
      sweeper.soon('agent-adoption');
    }
    if (hint.type === 'mail') delivery.notify(hint.agentId as AgentId);
    if (hint.type === 'reply') replies.replied(hint.tenant, [hint.correlationId]);
  });
}

function onNotice(notice: PoolNotice, parts: NodeParts): void {
  const { node, tree, feed, deadLetters } = parts;
  switch (notice.type) {
    case 'thread.up':
    case 'thread.down':
    case 'thread.stuck':
      tree.threads.notify(notice);
      feed.notice({ stream: node, type: notice.type, tenant: 'default', data: { ...notice, type: undefined } });
      break;
    case 'cell.transition':
    case 'cell.failed':
    case 'cell.lost':
    case 'cell.done':
      tree.agents.notify(notice);
      break;
    case 'dead-letter':
      deadLetters.add(notice.letter);
      break;
    case 'log':
      outsideSpans(() => writeLine(notice, parts));
      break;
  }
}

/** A line of an agent's log, with whose it is; what its code says of that does not count. */
function writeLine(
  { id, thread, line }: Extract<PoolNotice, { type: 'log' }>,
  { ambient, home, standIns }: NodeParts,
): void {
  const tenant = id === null ? undefined : home.get(standIns.agentOf(id) ?? id)?.row.tenant;
  ambient.log[line.level](line.message, {
    ...line.fields,
    ...{ taskId: undefined, workflowId: undefined, traceId: undefined, tenant },
    ...line.about,
    ...(id === null ? {} : { agentId: id }),
    thread,
  });
}
