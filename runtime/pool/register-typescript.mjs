// Loaded first in each thread when Troupe runs from its TypeScript sources (development, tests): `--import tsx` registers its
// loader in the main thread only. The build does not need this file.
import { register } from 'tsx/esm/api';

register();
