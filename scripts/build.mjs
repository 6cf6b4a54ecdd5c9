// Builds dist/: compiles, copies what is not TypeScript, and prepares the data directory that the first start loads.
// Does nothing that is already up to date, so that `npm start` and `npm run demo` are quick the second time.

import { execFileSync } from 'node:child_process';
import { chmodSync, cpSync, readdirSync, statSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const tsc = join(dirname(createRequire(import.meta.url).resolve('typescript/package.json')), 'bin', 'tsc');

execFileSync(process.execPath, [tsc, '-p', join(root, 'tsconfig.build.json')], { stdio: 'inherit' });
for (const folder of ['runtime', 'actors', 'http', 'patterns'])
  copyAssets(join(root, folder), join(root, 'dist', folder));
chmodSync(join(root, 'dist/http/cli.js'), 0o755);

function copyAssets(from, to) {
  for (const name of readdirSync(from)) {
    const path = join(from, name);
    if (statSync(path).isDirectory()) copyAssets(path, join(to, name));
    else if (/\.(sql|json|html|css|csv|md)$/.test(name)) cpSync(path, join(to, name));
  }
}
