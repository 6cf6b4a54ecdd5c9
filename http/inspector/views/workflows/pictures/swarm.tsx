// A swarm: where its members are (two of their axes, or the board of the ants), how good they are, and how it came to its best.

import { useSignal } from '@preact/signals';
import { brief, figure } from '../../../ui/figures.ts';
import { count } from '../../../ui/format.ts';
import { Stat } from '../../../ui/panel.tsx';
import { type SwarmPicture, scatter } from './model.ts';

export function Swarm({ swarm }: { readonly swarm: SwarmPicture }) {
  const { bestScore, best, alive, members, evaluations, mode, improvements, pheromone } = swarm;
  return (
    <>
      <div class="stats">
        <Stat
          label="Best score"
          value={figure(bestScore)}
          note={best === null ? undefined : brief(rounded(best), 60)}
        />
        <Stat
          label="Evaluations"
          value={count(evaluations.ended)}
          note={`${count(evaluations.inFlight)} under way, ${count(evaluations.failed)} failed`}
        />
        <Stat
          label="Members alive"
          value={`${count(alive)} of ${count(members.length)}`}
          {...(alive < members.length ? { tone: 'warn' as const } : {})}
        />
      </div>
      <div class="swarm">
        {mode === 'aco' ? <Board pheromone={pheromone} /> : <Positions members={members} />}
        <Improvements points={improvements} />
      </div>
    </>
  );
}

const rounded = (best: unknown): unknown =>
  Array.isArray(best) ? best.map((one) => (typeof one === 'number' ? Number(one.toPrecision(3)) : one)) : best;

const SIZE = 320;
const EDGE = 14;

function Positions({ members }: { readonly members: SwarmPicture['members'] }) {
  const axes = useSignal<readonly [number, number]>([0, 1]);
  const dimensions = Math.max(0, ...members.map(({ x }) => x.length));
  const shown = dimensions === 1 ? ([0, 0] as const) : axes.value;
  const points = scatter(members, shown);
  const scores = points.flatMap(({ score }) => (score === null ? [] : [score]));
  const best = Math.min(...scores);
  const place = (part: number): number => EDGE + part * (SIZE - 2 * EDGE);
  return (
    <figure class="swarm-figure">
      <figcaption>
        Positions
        {dimensions > 2 ? (
          <label class="muted">
            axes{' '}
            <select
              value={axes.value.join()}
              onChange={(event) => {
                const [a = 0, b = 1] = event.currentTarget.value.split(',').map(Number);
                axes.value = [a, b];
              }}
            >
              {pairs(dimensions).map(([a, b]) => (
                <option key={`${a},${b}`} value={`${a},${b}`}>
                  {a + 1} and {b + 1}
                </option>
              ))}
            </select>
          </label>
        ) : null}
      </figcaption>
      <svg viewBox={`0 0 ${SIZE} ${SIZE}`} class="swarm-positions" role="img" aria-label={`${points.length} members`}>
        <rect class="plot" x="0.5" y="0.5" width={SIZE - 1} height={SIZE - 1} />
        {points.map(({ id, score, x, y }) => (
          <circle
            key={id}
            class={score === best && score !== null ? 'member is-best' : 'member'}
            cx={place(x)}
            cy={place(y)}
            r={score === best && score !== null ? 6 : 4}
          >
            <title>{`${id}: ${figure(score)}`}</title>
          </circle>
        ))}
      </svg>
    </figure>
  );
}

const pairs = (dimensions: number): readonly (readonly [number, number])[] =>
  Array.from({ length: Math.min(10, dimensions) - 1 }, (_, at) => [at, at + 1] as const);

const WIDE = 420;
const HIGH = 200;

/** The score after each improvement, as steps; on a logarithmic scale when it falls by orders of magnitude. */
function Improvements({ points }: { readonly points: SwarmPicture['improvements'] }) {
  const scores = points.map(({ score }) => score);
  const [low, high] = [Math.min(...scores), Math.max(...scores)];
  const logarithmic = low > 0 && high / low > 100;
  const of = (score: number): number => (logarithmic ? Math.log10(score) : score);
  const last = points.at(-1)?.evaluation ?? 1;
  const x = (evaluation: number): number => EDGE + (evaluation / Math.max(1, last)) * (WIDE - 2 * EDGE);
  const y = (score: number): number =>
    EDGE + (high > low ? (of(high) - of(score)) / (of(high) - of(low)) : 0.5) * (HIGH - 2 * EDGE);
  const path = points
    .map(({ evaluation, score }, at) => (at === 0 ? `M${x(evaluation)} ${y(score)}` : `H${x(evaluation)}V${y(score)}`))
    .join('');
  return (
    <figure class="swarm-figure">
      <figcaption>
        Improvements <span class="muted">{logarithmic ? 'logarithmic' : ''}</span>
      </figcaption>
      {points.length === 0 ? (
        <p class="muted">none yet</p>
      ) : (
        <svg
          viewBox={`0 0 ${WIDE} ${HIGH}`}
          class="swarm-improvements"
          role="img"
          aria-label={`${points.length} improvements, from ${figure(high)} to ${figure(low)}`}
        >
          <rect class="plot" x="0.5" y="0.5" width={WIDE - 1} height={HIGH - 1} />
          <path class="curve" d={path} />
          {points.map(({ evaluation, score }) => (
            <circle key={evaluation} class="improvement" cx={x(evaluation)} cy={y(score)} r="2.5">
              <title>{`evaluation ${evaluation}: ${figure(score)}`}</title>
            </circle>
          ))}
          <text x={EDGE} y={HIGH - 4} class="plot-text">
            {figure(low)} after {count(last)} evaluations
          </text>
        </svg>
      )}
    </figure>
  );
}

/** Nodes of the graph on a circle; the more pheromone on an edge, the thicker it is. */
function Board({ pheromone }: { readonly pheromone: SwarmPicture['pheromone'] }) {
  const nodes = [...new Set(pheromone.flatMap(({ from, to }) => [from, to]))];
  const most = Math.max(...pheromone.map((one) => one.pheromone), 1e-9);
  const radius = SIZE / 2 - 30;
  const at = (node: string): readonly [number, number] => {
    const angle = (nodes.indexOf(node) / Math.max(1, nodes.length)) * 2 * Math.PI - Math.PI / 2;
    return [SIZE / 2 + radius * Math.cos(angle), SIZE / 2 + radius * Math.sin(angle)];
  };
  return (
    <figure class="swarm-figure">
      <figcaption>Pheromone</figcaption>
      <svg
        viewBox={`0 0 ${SIZE} ${SIZE}`}
        class="swarm-positions"
        role="img"
        aria-label={`${pheromone.length} edges with most pheromone`}
      >
        <rect class="plot" x="0.5" y="0.5" width={SIZE - 1} height={SIZE - 1} />
        {pheromone.map(({ from, to, pheromone: value }) => {
          const [[x1, y1], [x2, y2]] = [at(from), at(to)];
          return (
            <line
              key={`${from} ${to}`}
              class="trail"
              x1={x1}
              y1={y1}
              x2={x2}
              y2={y2}
              stroke-width={0.5 + (value / most) * 5}
            >
              <title>{`${from} to ${to}: ${figure(value)}`}</title>
            </line>
          );
        })}
        {nodes.map((node) => {
          const [x, y] = at(node);
          return (
            <g key={node}>
              <circle class="member" cx={x} cy={y} r="5" />
              <text class="plot-text" x={x} y={y - 9} text-anchor="middle">
                {node}
              </text>
            </g>
          );
        })}
      </svg>
    </figure>
  );
}
