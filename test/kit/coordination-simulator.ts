// The shipped simulator of strategies, for the suite.

export { seededRandom } from '../../runtime/testing/seeded-random.ts';
export { prepare, simulate } from '../../runtime/testing/simulation.ts';
export type {
  BidAnswer,
  End,
  Outcome,
  SimulationOptions,
  SimulationResult,
} from '../../runtime/testing/simulation-options.ts';
