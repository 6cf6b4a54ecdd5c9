// The door `troupe/agents`: what a module of agents imports.

export { z } from 'zod';
export { RuntimeError, TaskError } from '../runtime/contracts/errors.ts';
export type { AskHuman } from '../runtime/contracts/human-question.ts';
export type { TaskUsage } from '../runtime/contracts/usage.ts';
export type { ActorOptions, ActorStart } from './agent/actor-options.ts';
export { type ActorPort, messageOf, portOf, replyWith, tellWith } from './agent/actor-port.ts';
export { type Capability, type CapabilityOptions, capability } from './agent/capability.ts';
export type { AgentContext, AgentLog, MessageContext, TaskContext } from './agent/context.ts';
export { defineActor } from './agent/define-actor.ts';
export { defineAgent } from './agent/define-agent.ts';
export type { AgentEvents, AgentEventType } from './agent/events.ts';
export type { AgentOptions, BidderSelf, BidFunction, OnEntry } from './agent/options.ts';
export { type ToolOptions, tool } from './agent/tool.ts';
