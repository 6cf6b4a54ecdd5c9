// Which methods a path knows: 404 for unknown paths and 405 with `Allow` for known ones, the same for every strange method.

import { type Endpoint, routeName } from './endpoint.ts';
import { EdgeError } from './problem.ts';

interface Pattern {
  readonly methods: Set<string>;
  readonly matches: (path: string) => boolean;
}

export interface MethodGuard {
  /** The methods a path takes, or undefined when it is none of ours. */
  methodsOf(path: string): ReadonlySet<string> | undefined;
  /** Throws `method_not_allowed` with `Allow`. */
  check(method: string, allowed: ReadonlySet<string>): void;
}

/** A literal path wins over one with parameters, so that `DELETE /api/agents/list` removes no agent called list. */
export function createMethodGuard(endpoints: readonly Endpoint[], basePath = ''): MethodGuard {
  const literal = new Map<string, Set<string>>();
  const patterns = new Map<string, Pattern>();
  for (const route of endpoints) {
    const path = basePath + route.path;
    const verbs = route.method === 'get' ? ['GET', 'HEAD'] : [route.method.toUpperCase()];
    const methods = path.includes('{') ? patternOf(patterns, path).methods : methodsOf(literal, path);
    for (const verb of verbs) methods.add(verb);
  }
  return {
    methodsOf(path) {
      const known = literal.get(path) ?? union([...patterns.values()].filter(({ matches }) => matches(path)));
      return known.size > 0 ? known : undefined;
    },
    check(method, allowed) {
      if (allowed.has(method)) return;
      const allow = [...allowed].join(', ');
      throw new EdgeError('method_not_allowed', `This path takes ${allow}.`, { headers: { allow } });
    },
  };
}

/** Two entries for one route: the later would never run. */
export function checkUnique(endpoints: readonly Endpoint[]): void {
  const seen = new Set<string>();
  for (const route of endpoints) {
    const name = routeName(route);
    if (seen.has(name)) throw new Error(`the route ${name} is defined twice`);
    seen.add(name);
  }
}

function methodsOf(literal: Map<string, Set<string>>, path: string): Set<string> {
  const known = literal.get(path) ?? new Set<string>();
  literal.set(path, known);
  return known;
}

function patternOf(patterns: Map<string, Pattern>, path: string): Pattern {
  const known = patterns.get(path);
  if (known) return known;
  const parts = path.split('/');
  const made: Pattern = {
    methods: new Set(),
    matches(candidate) {
      const given = candidate.split('/');
      return (
        given.length === parts.length &&
        parts.every((part, index) => (part.startsWith('{') ? given[index] !== '' : part === given[index]))
      );
    },
  };
  patterns.set(path, made);
  return made;
}

function union(patterns: readonly Pattern[]): Set<string> {
  return new Set(patterns.flatMap(({ methods }) => [...methods]));
}
