// Who offers a capability, told to those who follow it: what lives here from memory and at once, the rest from the database with each look.

import { capabilityRefSchema } from '../contracts/agent.ts';
import type { AgentId } from '../contracts/ids.ts';
import type { Offers } from '../contracts/messages.ts';
import type { Ambient, Dispose } from '../contracts/ports.ts';
import type { ChannelStore } from '../contracts/store.ts';
import { parseInput } from '../contracts/validation.ts';

/** Agents of this node that offer a capability and take work. */
export interface LocalOffers {
  offering(tenant: string, capability: string, version: number | null): readonly AgentId[];
  /** Whether the agent lives here: then what the database says of it is older than what memory says. */
  hosts(id: AgentId): boolean;
  /** Called when who offers what here may have changed. */
  onChange(listener: () => void): Dispose;
}

export interface ReceptionistOptions {
  readonly store: Pick<ChannelStore, 'offering'>;
  readonly local: LocalOffers;
  readonly ambient: Pick<Ambient, 'clock' | 'log'>;
  /** How often others are looked at while somebody follows; never where there are no others. */
  readonly pollMs: number | undefined;
}

interface Followed {
  readonly tenant: string;
  readonly capability: string;
  readonly listeners: Set<(offers: Offers) => void>;
  /** What was told last. */
  told: Offers | undefined;
  looking: boolean;
  again: boolean;
}

/** Changes of one moment are told once. */
const GATHER_MS = 5;

export class Receptionist {
  readonly #options: ReceptionistOptions;
  readonly #followed = new Map<string, Followed>();
  #stopListening: Dispose | undefined;
  #stopPolling: Dispose | undefined;
  #soon: Dispose | undefined;

  constructor(options: ReceptionistOptions) {
    this.#options = options;
  }

  /** @throws RuntimeError `invalid_input` for what is no capability. */
  async offers(reference: string, tenant: string): Promise<Offers> {
    const capability = parseInput(capabilityRefSchema, reference, 'capability');
    const [name = '', major] = capability.split('@');
    const version = major === undefined ? null : Number(major);
    const { store, local } = this.#options;
    const stored = await store.offering(tenant, name, version);
    const here = local.offering(tenant, name, version);
    const agents = [...new Set([...stored.filter((id) => !local.hosts(id)), ...here])].sort();
    return { capability, agents };
  }

  /** Tells at once, and after every change. @throws RuntimeError `invalid_input`. */
  follow(reference: string, tenant: string, listener: (offers: Offers) => void): Dispose {
    const capability = parseInput(capabilityRefSchema, reference, 'capability');
    const key = `${tenant}\n${capability}`;
    const followed = this.#followed.get(key) ?? newFollowed(tenant, capability);
    this.#followed.set(key, followed);
    const own = (offers: Offers) => listener(offers);
    followed.listeners.add(own);
    if (followed.told) own(followed.told);
    this.#begin();
    void this.#look(followed);
    return () => {
      followed.listeners.delete(own);
      if (followed.listeners.size === 0) this.#followed.delete(key);
      if (this.#followed.size === 0) this.close();
    };
  }

  /** Nobody is told any more. */
  close(): void {
    for (const dispose of [this.#stopListening, this.#stopPolling, this.#soon]) dispose?.();
    this.#stopListening = undefined;
    this.#stopPolling = undefined;
    this.#soon = undefined;
    this.#followed.clear();
  }

  #begin(): void {
    if (this.#stopListening) return;
    const { local, ambient, pollMs } = this.#options;
    this.#stopListening = local.onChange(() => {
      this.#soon ??= ambient.clock.setTimeout(() => {
        this.#soon = undefined;
        this.#lookAtAll();
      }, GATHER_MS);
    });
    if (pollMs !== undefined) this.#stopPolling = ambient.clock.setInterval(() => this.#lookAtAll(), pollMs);
  }

  #lookAtAll(): void {
    for (const followed of this.#followed.values()) void this.#look(followed);
  }

  async #look(followed: Followed): Promise<void> {
    followed.again = true;
    if (followed.looking) return;
    followed.looking = true;
    try {
      while (followed.again && followed.listeners.size > 0) {
        followed.again = false;
        this.#tell(followed, await this.offers(followed.capability, followed.tenant));
      }
    } catch (error) {
      this.#options.ambient.log.warn('who offers a capability could not be read', { error: String(error) });
    } finally {
      followed.looking = false;
    }
  }

  #tell(followed: Followed, offers: Offers): void {
    const before = followed.told?.agents;
    if (before && before.length === offers.agents.length && before.every((id, at) => id === offers.agents[at])) return;
    followed.told = offers;
    for (const listener of [...followed.listeners]) {
      try {
        listener(offers);
      } catch (error) {
        this.#options.ambient.log.error('a follower of offers threw', { error: String(error) });
      }
    }
  }
}

const newFollowed = (tenant: string, capability: string): Followed => ({
  tenant,
  capability,
  listeners: new Set(),
  told: undefined,
  looking: false,
  again: false,
});
