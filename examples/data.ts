// Where the data sets are that come with the package.

import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';

/** A folder: CSV files and a README.md that says where they come from. */
export const DATA = join(dirname(createRequire(import.meta.url).resolve('troupe/package.json')), 'data');
