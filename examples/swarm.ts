// Swarm: thirty particles look for the lowest point of Rastrigin's function, a bowl full of dents, and ants for the shortest tour through
// the capitals of South America. Every point and every tour is evaluated by an agent.

import { fileURLToPath } from 'node:url';
import type { Troupe } from 'troupe';

/** Latitude and longitude in degrees. */
const CAPITALS = {
  Asuncion: [-25.28, -57.63],
  Bogota: [4.71, -74.07],
  Brasilia: [-15.79, -47.88],
  BuenosAires: [-34.6, -58.38],
  Caracas: [10.48, -66.9],
  Cayenne: [4.92, -52.31],
  Georgetown: [6.8, -58.16],
  Lima: [-12.05, -77.04],
  Montevideo: [-34.9, -56.16],
  Paramaribo: [5.85, -55.2],
  Quito: [-0.18, -78.47],
  Santiago: [-33.45, -70.67],
  Sucre: [-19.02, -65.26],
} as const satisfies Record<string, readonly [number, number]>;

const EARTH_RADIUS_KM = 6_371;

export interface Found<Best> {
  readonly best: Best;
  readonly bestScore: number;
  readonly evaluations: number;
}

export interface Outcome {
  readonly minimum: Found<number[]>;
  readonly tour: Found<string[]>;
}

export async function run(troupe: Troupe): Promise<Outcome> {
  await Promise.all([1, 2, 3].map((number) => troupe.agents.spawn('analysis', { name: `evaluator-${number}` })));
  const particles = await troupe.workflows.run({
    name: 'lowest point',
    pattern: 'swarm',
    objective: { capability: 'function.evaluate', input: { function: 'rastrigin' } },
    options: {
      agents: 30,
      bounds: [
        [-5.12, 5.12],
        [-5.12, 5.12],
      ],
      maxIterations: 60,
      target: 0.001,
    },
  });
  const ants = await troupe.workflows.run({
    name: 'shortest tour',
    pattern: 'swarm',
    objective: { capability: 'path.cost' },
    options: {
      mode: 'aco',
      graph: { nodes: Object.keys(CAPITALS), edges: roads() },
      maxIterations: 40,
      stagnation: { iterations: 15, epsilon: 1 },
    },
  });
  return {
    minimum: (await particles.result()).output as Found<number[]>,
    tour: (await ants.result()).output as Found<string[]>,
  };
}

/** As the crow flies, in km, between every two. */
function roads(): [string, string, number][] {
  const places = Object.entries(CAPITALS);
  return places.flatMap(([from, a], at) =>
    places.slice(at + 1).map(([to, b]): [string, string, number] => [from, to, distanceKm(a, b)]),
  );
}

/** Haversine. */
function distanceKm([lat1, lon1]: readonly [number, number], [lat2, lon2]: readonly [number, number]): number {
  const radians = Math.PI / 180;
  const chord =
    Math.sin(((lat2 - lat1) * radians) / 2) ** 2 +
    Math.cos(lat1 * radians) * Math.cos(lat2 * radians) * Math.sin(((lon2 - lon1) * radians) / 2) ** 2;
  return 2 * EARTH_RADIUS_KM * Math.asin(Math.sqrt(chord));
}

export const show = ({ minimum, tour }: Outcome): string =>
  `particles: ${minimum.bestScore} at ${minimum.best.join(', ')} after ${minimum.evaluations} evaluations
ants: ${Math.round(tour.bestScore)} km after ${tour.evaluations} evaluations: ${tour.best.join(' - ')}`;

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const { createTroupe } = await import('troupe');
  await using troupe = await createTroupe({ dataDir: 'memory://' });
  console.log(show(await run(troupe)));
}
