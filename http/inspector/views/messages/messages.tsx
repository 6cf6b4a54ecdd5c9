// Messages as they are handled, as a sequence diagram: filtered, held, and one conversation followed over threads and nodes.

import { useAgentNames } from '../../data/agent-names.ts';
import { liveUnreachable } from '../../data/live.ts';
import { href, setQuery } from '../../router.ts';
import { Choice } from '../../ui/choice.tsx';
import { clockMs } from '../../ui/figures.ts';
import { bytes, count, duration, plural, shortId } from '../../ui/format.ts';
import { Fields, Json, Panel } from '../../ui/panel.tsx';
import { Empty } from '../../ui/states.tsx';
import type { ViewProps } from '../view.ts';
import { useMessages } from './feed.ts';
import { keyOf, sequenceOf, type Told, threadOf, wanted } from './sequence.ts';
import { SequenceDrawing } from './sequence-drawing.tsx';
import '../../ui/lists.css';
import './messages.css';

const PROTOCOLS = ['direct', 'request-response', 'publish-subscribe', 'broadcast', 'multicast'];
/** Arrows drawn: the newest. */
const SHOWN = 200;

export function Messages({ query }: ViewProps) {
  const names = useAgentNames();
  const { follow, agent, type, protocol } = query;
  const exact = agent !== undefined && [...names.byId].some(([id, name]) => agent === id || agent === name);
  const feed = useMessages({
    ...(follow ? { correlation: follow } : {}),
    ...(exact && !follow ? { agents: [agent] } : {}),
    ...(type && !follow ? { types: [type] } : {}),
  });
  const filter = {
    ...(follow ? { follow } : {}),
    ...(agent ? { agent } : {}),
    ...(type ? { type } : {}),
    ...(protocol ? { protocol } : {}),
  };
  const fitting = feed.told.filter((one) => wanted(one, filter, names.byId));
  const shown = fitting.slice(-SHOWN);
  const chosen = feed.told.find((one) => keyOf(one) === query.message);
  const nodes = new Set(shown.map(({ node }) => node)).size;
  const threads = new Set(shown.map(({ node, thread }) => `${node}/${thread}`)).size;
  return (
    <>
      <div class="view-head">
        <h1>Messages</h1>
        <span class="muted" role="status">
          {shown.length < fitting.length ? `the newest ${count(shown.length)} of ` : ''}
          {plural(fitting.length, 'message')}
          {shown.length > 0 ? ` on ${plural(threads, 'thread')} of ${plural(nodes, 'node')}` : ''}
          {feed.dropped > 0 ? `, ${count(feed.dropped)} left out because there were too many` : ''}
        </span>
        <span class="grow" />
        <button type="button" aria-pressed={feed.held} onClick={() => feed.hold(!feed.held)}>
          {feed.held ? 'Go on' : 'Hold'}
        </button>
        <button type="button" onClick={() => feed.clear()}>
          Clear
        </button>
      </div>
      <Filters query={query} known={[...names.byId.values()]} />
      {follow ? (
        <p class="following">
          Following <code>{shortId(follow)}</code>
          <button type="button" class="quiet" onClick={() => setQuery({ follow: undefined })}>
            Stop following
          </button>
        </p>
      ) : null}
      {liveUnreachable.value.length > 0 ? (
        <p class="note">
          Messages of {plural(liveUnreachable.value.length, 'node')} are missing: it cannot be reached.
        </p>
      ) : null}
      {shown.length === 0 ? (
        <Empty
          title={
            feed.told.length === 0
              ? 'No message has been seen since this view was opened'
              : 'No message fits the filter'
          }
        >
          {feed.told.length === 0 ? (
            <>
              Messages are told while somebody looks. Send one with <code>troupe message</code>, or start a run.
            </>
          ) : (
            <a href={href(['messages'])}>Show all</a>
          )}
        </Empty>
      ) : (
        <div class={chosen ? 'with-aside' : ''}>
          <SequenceDrawing sequence={sequenceOf(shown)} names={names} chosen={query.message} />
          {chosen ? <Message told={chosen} nameOf={(id) => names.of(id)} /> : null}
        </div>
      )}
    </>
  );
}

function Filters({ query, known }: { readonly query: ViewProps['query']; readonly known: readonly string[] }) {
  return (
    <search class="filters">
      <label>
        Agent
        <input
          type="search"
          list="agents-known"
          placeholder="name or id"
          value={query.agent ?? ''}
          onInput={(event) => setQuery({ agent: event.currentTarget.value })}
        />
      </label>
      <datalist id="agents-known">
        {known.slice(0, 200).map((name) => (
          <option key={name} value={name} />
        ))}
      </datalist>
      <label>
        Type
        <input
          type="search"
          placeholder="order.placed or order.*"
          value={query.type ?? ''}
          onInput={(event) => setQuery({ type: event.currentTarget.value })}
        />
      </label>
      <Choice label="Protocol" name="protocol" of={PROTOCOLS} value={query.protocol} />
      <label>
        Follow
        <input
          type="search"
          placeholder="correlation, trace or message id"
          value={query.follow ?? ''}
          onInput={(event) => setQuery({ follow: event.currentTarget.value })}
        />
      </label>
    </search>
  );
}

function Message({ told, nameOf }: { readonly told: Told; readonly nameOf: (id: string | null) => string }) {
  const thread = threadOf(told);
  const link = (id: string | null) => (id === null ? 'outside' : <a href={href(['agents', id])}>{nameOf(id)}</a>);
  return (
    <Panel
      title={told.type}
      class="aside"
      aside={
        <button type="button" class="quiet" onClick={() => setQuery({ message: undefined })}>
          Close
        </button>
      }
    >
      <Fields
        of={[
          ['From', link(told.from)],
          ['To', link(told.to)],
          ['Kind', told.kind],
          ['Protocol', told.protocol],
          ['Handled', clockMs(told.atMs)],
          ['Under way', told.sentAtMs === null ? undefined : duration(told.atMs - told.sentAtMs)],
          ['Way', told.via],
          ['Place', `thread ${told.thread} of ${shortId(told.node)}`],
          ['Topic', told.topic],
          ['Channel', told.channel],
          ['Size', bytes(told.bytes)],
          ['Correlation', told.correlation ? <code>{told.correlation}</code> : undefined],
          ['Trace', told.trace ? <code>{told.trace}</code> : undefined],
        ]}
      />
      {thread === null ? null : (
        <button type="button" onClick={() => setQuery({ follow: thread })}>
          Follow this conversation
        </button>
      )}
      {told.body === undefined ? null : <Json value={told.body} />}
    </Panel>
  );
}
