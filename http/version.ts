// The version of this package, from its package.json: one folder up in the sources, two up in dist.

import { readFileSync } from 'node:fs';

export function packageVersion(): string {
  for (const place of ['../package.json', '../../package.json']) {
    try {
      const { name, version } = JSON.parse(readFileSync(new URL(place, import.meta.url), 'utf8')) as Record<
        string,
        unknown
      >;
      if (name === 'troupe' && typeof version === 'string') return version;
    } catch {
      // not there: try the next place
    }
  }
  return '0.0.0';
}
