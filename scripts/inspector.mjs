// Builds the inspector page from http/inspector/ into dist/http/inspector/page/: scripts and styles with hashed names, nothing inline.
// `node scripts/inspector.mjs --watch` builds again whenever a file of it changes.

import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { build } from 'vite';

const root = dirname(dirname(fileURLToPath(import.meta.url)));

export function buildInspector({ watch = false } = {}) {
  return build({
    configFile: false,
    root: join(root, 'http/inspector'),
    // Addresses inside the page are relative, so that it can be mounted anywhere.
    base: './',
    logLevel: watch ? 'info' : 'warn',
    oxc: { jsx: { runtime: 'automatic', importSource: 'preact' } },
    plugins: [licences()],
    build: {
      outDir: join(root, 'dist/http/inspector/page'),
      emptyOutDir: true,
      target: ['chrome123', 'firefox121', 'safari17.5'],
      // Inline data would need a weaker content security policy.
      assetsInlineLimit: 0,
      modulePreload: { polyfill: false },
      reportCompressedSize: false,
      chunkSizeWarningLimit: 2_000,
      watch: watch ? {} : null,
    },
  });
}

/** What is bundled asks for its licence to stand beside it: `licences.txt`. */
function licences() {
  return {
    name: 'licences',
    generateBundle() {
      const folders = [...this.getModuleIds()].flatMap(
        (id) => /^(.*\/node_modules\/(?:@[^/]+\/)?[^/]+)\//.exec(id)?.[1] ?? [],
      );
      const source = [...new Set(folders)]
        .sort()
        .map(licenceOf)
        .join(`\n${'-'.repeat(80)}\n\n`);
      this.emitFile({ type: 'asset', fileName: 'licences.txt', source });
    },
  };
}

function licenceOf(folder) {
  const { name, version, license, repository } = JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8'));
  const file = readdirSync(folder).find((each) => /^licen[cs]e/i.test(each));
  const where = typeof repository === 'string' ? repository : repository?.url;
  return `${name} ${version} (${license}), ${where}\n\n${file ? readFileSync(join(folder, file), 'utf8').trim() : ''}\n`;
}

if (process.argv[1] === fileURLToPath(import.meta.url))
  await buildInspector({ watch: process.argv.includes('--watch') });
