// Builds dist/: compiles, copies what is not TypeScript, and prepares the data directory that the first start loads.
// `node scripts/build.mjs bench` compiles the same with bench/ and test/kit/ into .bench/: what is measured is what is shipped.

import { execFileSync } from 'node:child_process';
import { chmodSync, cpSync, existsSync, readdirSync, rmSync, statSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const tsc = join(dirname(createRequire(import.meta.url).resolve('typescript/package.json')), 'bin', 'tsc');
const PAGE = join(root, 'http/inspector');
const bench = process.argv.includes('bench');
const out = join(root, bench ? '.bench' : 'dist');
const folders = ['runtime', 'actors', 'http', 'patterns', 'examples', ...(bench ? ['bench', 'test/kit'] : [])];

run(tsc, '-p', join(root, bench ? 'tsconfig.bench.json' : 'tsconfig.build.json'));
for (const folder of folders) if (existsSync(join(out, folder))) prune(join(root, folder), join(out, folder));
for (const folder of folders) if (existsSync(join(root, folder))) copyAssets(join(root, folder), join(out, folder));
if (bench) for (const file of ['package.json', 'data']) cpSync(join(root, file), join(out, file), { recursive: true });
else chmodSync(join(out, 'http/cli.js'), 0o755);
run(join(out, 'runtime/store/prepare.js'));
// The page is no part of what is measured.
if (!bench) await (await import('./inspector.mjs')).buildInspector();

/** What was compiled from a source that is gone would be packed and, among agents, loaded. */
function prune(from, to) {
  for (const entry of readdirSync(to, { withFileTypes: true })) {
    const source = join(from, entry.name);
    if (entry.isDirectory()) {
      if (source === PAGE) continue; // Vite's own
      if (existsSync(source)) prune(source, join(to, entry.name));
      else rmSync(join(to, entry.name), { recursive: true });
      continue;
    }
    const compiled = /^(.*?)(\.d\.ts|\.js|\.js\.map)$/.exec(source);
    if (compiled && !existsSync(`${compiled[1]}.ts`) && !existsSync(source)) rmSync(join(to, entry.name));
  }
}

function copyAssets(from, to) {
  for (const name of readdirSync(from)) {
    const path = join(from, name);
    if (name === 'node_modules' || name === 'results' || path === PAGE) continue;
    if (statSync(path).isDirectory()) copyAssets(path, join(to, name));
    else if (/\.(sql|json|html|css|csv|md|mjs|cjs)$/.test(name)) cpSync(path, join(to, name));
  }
}

function run(...command) {
  execFileSync(process.execPath, command, { stdio: 'inherit' });
}
