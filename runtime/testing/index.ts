// The door `troupe/testing`: strategies of your own, simulated and checked, in any test runner.

export {
  ConformanceError,
  type ConformanceOptions,
  type ConformanceReport,
  strategyConformance,
} from './conformance.ts';
export { seededRandom } from './seeded-random.ts';
export { prepare, simulate } from './simulation.ts';
export type {
  BidAnswer,
  Call,
  End,
  Interrupt,
  Outcome,
  SimulationOptions,
  SimulationResult,
  Start,
  Started,
} from './simulation-options.ts';
