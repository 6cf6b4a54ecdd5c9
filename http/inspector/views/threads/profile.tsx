// Takes a CPU profile of a thread and draws it as a flame graph: a click on a frame widens it. The profile can be kept as a file.

import { useSignal } from '@preact/signals';
import { useEffect, useMemo } from 'preact/hooks';
import type { CpuProfile } from '../../../../runtime/contracts/inspection.ts';
import { api } from '../../data/client.ts';
import { duration, percent } from '../../ui/format.ts';
import { Panel } from '../../ui/panel.tsx';
import { Empty } from '../../ui/states.tsx';
import { type Column, DataTable } from '../../ui/table.tsx';
import { type Frame, flameOf, type Hot, hottest, layOutFlame } from './flame.ts';

interface ProfileProps {
  readonly node: string;
  readonly thread: number;
  readonly name: string;
}

const SECONDS = [2, 5, 10, 20];
const MOST_HOT = 12;

export function Profile({ node, thread, name }: ProfileProps) {
  const seconds = useSignal(2);
  const taking = useSignal(false);
  const failed = useSignal<string | null>(null);
  const profile = useSignal<CpuProfile | null>(null);
  const take = async (): Promise<void> => {
    taking.value = true;
    failed.value = null;
    try {
      profile.value = await api.send<CpuProfile>('POST', `/api/inspect/threads/${thread}/profile`, {
        seconds: seconds.value,
        node,
      });
    } catch (error) {
      failed.value = (error as Error).message;
    } finally {
      taking.value = false;
    }
  };
  return (
    <Panel
      title={`CPU profile of ${name}`}
      class="profile"
      aside={
        <span class="row">
          <select
            aria-label="How long"
            value={seconds.value}
            onChange={(event) => {
              seconds.value = Number(event.currentTarget.value);
            }}
          >
            {SECONDS.map((one) => (
              <option key={one} value={one}>
                {one} seconds
              </option>
            ))}
          </select>
          <button type="button" class="primary" disabled={taking.value} onClick={() => void take()}>
            {taking.value ? 'Taking …' : 'Take profile'}
          </button>
          {profile.value ? <Download profile={profile.value} thread={thread} /> : null}
        </span>
      }
    >
      <div aria-live="polite">
        {failed.value === null ? null : <p class="tone-bad">{failed.value}</p>}
        {profile.value ? (
          <Result profile={profile.value} />
        ) : (
          <Empty title={taking.value ? 'Sampling the thread' : 'No profile yet'}>
            The thread goes on working while it is sampled a thousand times a second.
          </Empty>
        )}
      </div>
    </Panel>
  );
}

function Download({ profile, thread }: { readonly profile: CpuProfile; readonly thread: number }) {
  const url = useMemo(
    () => URL.createObjectURL(new Blob([JSON.stringify(profile)], { type: 'application/json' })),
    [profile],
  );
  useEffect(() => () => URL.revokeObjectURL(url), [url]);
  return (
    <a href={url} download={`thread-${thread}.cpuprofile`}>
      Save .cpuprofile
    </a>
  );
}

function Result({ profile }: { readonly profile: CpuProfile }) {
  const figures = useMemo(() => flameOf(profile), [profile]);
  const { busyUs, idleUs, root } = figures;
  const hot = useMemo(() => hottest(root, MOST_HOT), [root]);
  return (
    <>
      <p class="profile-sum">
        Busy {duration(busyUs / 1_000)} ({percent(busyUs / Math.max(1, busyUs + idleUs))}), idle{' '}
        {duration(idleUs / 1_000)}
      </p>
      {busyUs === 0 ? (
        <Empty title="It only waited">Take a profile while the thread has work.</Empty>
      ) : (
        <>
          <Flame root={root} busyUs={busyUs} />
          <h3 class="profile-hot">Most time in itself</h3>
          <DataTable
            label="Functions by their own time"
            rows={hot}
            columns={hotColumns(busyUs)}
            rowKey={({ name, place }) => `${name} ${place}`}
          />
        </>
      )}
    </>
  );
}

function hotColumns(busyUs: number): readonly Column<Hot>[] {
  return [
    { key: 'name', title: 'Function', cell: ({ name }) => <code>{name}</code> },
    { key: 'place', title: 'Where', cell: ({ place }) => <span title={place}>{place}</span>, wide: true },
    { key: 'self', title: 'Own time', width: '100px', numeric: true, cell: ({ selfUs }) => duration(selfUs / 1_000) },
    { key: 'part', title: 'Part', width: '70px', numeric: true, cell: ({ selfUs }) => percent(selfUs / busyUs) },
  ];
}

const ROW_PX = 20;
const LEAST = 0.002;
/** Narrower frames hold no name. */
const NAMED = 0.03;

function Flame({ root, busyUs }: { readonly root: Frame; readonly busyUs: number }) {
  const widened = useSignal<Frame>(root);
  useEffect(() => {
    widened.value = root;
  }, [root, widened]);
  const frames = useMemo(() => layOutFlame(widened.value, LEAST), [widened.value]);
  const depth = Math.max(...frames.map((frame) => frame.depth)) + 1;
  return (
    <>
      <p class="row profile-legend">
        <span class="flame-own">own code</span>
        <span class="flame-package">packages</span>
        <span class="flame-node">Node and V8</span>
        {widened.value === root ? null : (
          <button
            type="button"
            onClick={() => {
              widened.value = root;
            }}
          >
            Show all
          </button>
        )}
      </p>
      <section class="flame-scroll" aria-label="Flame graph; the table below has the same in words">
        <div class="flame" style={{ height: `${depth * ROW_PX}px` }}>
          {frames.map(({ data, x0, x1, depth: at, value = 0 }) => (
            <button
              key={data.id}
              type="button"
              tabIndex={x1 - x0 >= NAMED ? 0 : -1}
              class={`flame-frame flame-${data.origin}`}
              title={`${data.name} ${data.place}\n${duration(value / 1_000)}, ${percent(value / busyUs)}; itself ${duration(data.selfUs / 1_000)}`}
              style={{ left: `${x0 * 100}%`, width: `${(x1 - x0) * 100}%`, top: `${at * ROW_PX}px` }}
              onClick={() => {
                widened.value = data;
              }}
            >
              {x1 - x0 >= NAMED ? data.name : <span class="sr">{data.name}</span>}
            </button>
          ))}
        </div>
      </section>
    </>
  );
}
