// What a vote must satisfy before it can run. The first problem found is named with its JSON path in the body.

import type { WorkflowProblem } from '../../runtime/contracts/coordination.ts';
import type { WorkflowSpec } from '../../runtime/contracts/workflow.ts';
import { foreignField } from '../common/fields.ts';
import { checkPlainInput } from '../common/plain-input.ts';
import { keyOf } from './ballot.ts';
import type { ConsensusOptions } from './options.ts';
import { voterCount } from './state.ts';

const invalid = (path: string, message: string): WorkflowProblem => ({ code: 'workflow_invalid', path, message });

export function checkConsensus(workflow: WorkflowSpec, options: ConsensusOptions): WorkflowProblem | null {
  const foreign = foreignField(workflow, ['task', 'question', 'voters', 'input']);
  if (foreign) return foreign;
  return checkTask(workflow, options) ?? checkVoters(workflow, options) ?? checkRule(options) ?? checkTie(options);
}

function checkTask(workflow: WorkflowSpec, { rounds }: ConsensusOptions): WorkflowProblem | null {
  const { task, question, onFailure } = workflow;
  if (!task) return invalid('task', 'a consensus needs task.capability: what every voter is asked to do');
  if (task.input !== undefined && question !== undefined)
    return invalid('question', 'give task.input or question, not both: question is short for the input { question }');
  if (task.agentId !== undefined)
    return invalid('task.agentId', 'a vote of one agent is none; name voters in voters.agents');
  if (onFailure !== 'fail_fast')
    return invalid('onFailure', `"${onFailure}" has no meaning in a vote: a voter that fails abstains`);
  const input = checkPlainInput(workflow, task.input, 'task.input');
  if (input) return input;
  const isObject = typeof task.input === 'object' && task.input !== null && !Array.isArray(task.input);
  if (rounds > 0 && task.input !== undefined && !isObject)
    return invalid('task.input', 'with debate rounds the input must be an object, so that peers can be added to it');
  return null;
}

function checkVoters(workflow: WorkflowSpec, { quorum }: ConsensusOptions): WorkflowProblem | null {
  const { voters } = workflow;
  if (voters && 'agents' in voters) {
    const twice = voters.agents.findIndex((agent, at) => voters.agents.indexOf(agent) < at);
    if (twice >= 0) return invalid(`voters.agents[${twice}]`, `"${voters.agents[twice]}" is named twice`);
  }
  const count = voterCount(workflow);
  if (quorum === undefined || quorum <= count) return null;
  return invalid('options.quorum', `a quorum of ${quorum} needs as many voters; there are ${count}`);
}

function checkRule({ rule, choices, ballot }: ConsensusOptions): WorkflowProblem | null {
  if (ballot?.split('.').includes('')) return invalid('options.ballot', `"${ballot}" is not a path such as "a.b"`);
  if (typeof rule === 'object' && 'weighted' in rule) {
    const weights = Object.values(rule.weighted);
    if (weights.length === 0) return invalid('options.rule.weighted', 'give at least one agent a weight');
  }
  if (!choices) return null;
  if (typeof rule === 'object' && ('median' in rule || 'judge' in rule))
    return invalid('options.choices', 'choices have no meaning for this rule');
  const keys = choices.map(keyOf);
  const twice = keys.findIndex((key, at) => keys.indexOf(key) < at);
  return twice < 0 ? null : invalid(`options.choices[${twice}]`, 'means the same as a choice before it');
}

function checkTie({ rule, tie, judge }: ConsensusOptions): WorkflowProblem | null {
  if (tie !== 'fail' && typeof rule === 'object' && ('median' in rule || 'judge' in rule))
    return invalid('options.tie', `this rule always decides: "${tie}" would never be used`);
  if (tie === 'judge' && judge === undefined)
    return invalid('options.judge', 'tie "judge" needs the capability of a judge');
  if (tie !== 'judge' && judge !== undefined)
    return invalid('options.judge', 'has a meaning only with tie "judge"; to let a judge decide at once use the rule');
  return null;
}
