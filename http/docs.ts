// The API as one static page: no script, nothing loaded from elsewhere.

import type { OpenApiDocument } from './openapi.ts';

type Json = Record<string, unknown>;

const STYLE = `
body { font: 15px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem; color: #1c2024; background: #fff; }
h2 { margin-top: 2.5rem; text-transform: capitalize; } details { border: 1px solid #d8dce0; border-radius: 6px; margin: .5rem 0; padding: .4rem .8rem; }
summary { cursor: pointer; } code, pre { font: 13px/1.45 ui-monospace, monospace; } pre { overflow-x: auto; background: #f4f6f8; padding: .6rem; border-radius: 4px; }
.verb { display: inline-block; width: 4.2rem; font-weight: 600; } .about { color: #5a6470; } table { border-collapse: collapse; } td { padding: .15rem .8rem .15rem 0; vertical-align: top; }
@media (prefers-color-scheme: dark) { body { color: #e4e7ea; background: #16191c; } details { border-color: #343a40; } pre { background: #20252a; } .about { color: #9aa4ae; } }`;

export function renderDocs(document: OpenApiDocument): string {
  const { info } = document as unknown as { info: { title: string; version: string; description: string } };
  const byTag = new Map<string, string[]>();
  for (const [path, operations] of Object.entries(document.paths)) {
    for (const [method, operation] of Object.entries(operations)) {
      const tag = (operation.tags as string[])[0] ?? 'other';
      byTag.set(tag, [...(byTag.get(tag) ?? []), operationHtml(method, path, operation)]);
    }
  }
  const sections = [...byTag].map(([tag, operations]) => `<h2>${text(tag)}</h2>${operations.join('')}`);
  const schemas = Object.entries(document.components.schemas).map(
    ([id, schema]) => `<details id="${text(id)}"><summary><code>${text(id)}</code></summary>${pre(schema)}</details>`,
  );
  return `<!doctype html><html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>${text(info.title)} API</title><style>${STYLE}</style></head><body>
<h1>${text(info.title)} API <small class="about">${text(info.version)}</small></h1><p>${text(info.description)}</p>
<p class="about">Send <code>Authorization: Bearer &lt;token&gt;</code>; <code>npx troupe token</code> makes one. The same as <a href="/openapi.json">openapi.json</a>.</p>
${sections.join('\n')}<h2>Schemas</h2>${schemas.join('\n')}</body></html>`;
}

function operationHtml(method: string, path: string, operation: Json): string {
  const roles = operation['x-roles'] as string[] | undefined;
  const parameters = (operation.parameters as Json[]).map(
    ({ name, in: place, description, schema }) =>
      `<tr><td><code>${text(name)}</code></td><td>${text(place)}</td><td>${text(description ?? '')} ${brief(schema)}</td></tr>`,
  );
  const answers = Object.entries(operation.responses as Record<string, Json>).map(
    ([status, { description, content }]) =>
      `<tr><td><code>${text(status)}</code></td><td>${text(description)} ${contentHtml(content)}</td></tr>`,
  );
  const body = (operation.requestBody as Json | undefined)?.content;
  return `<details><summary><span class="verb">${text(method.toUpperCase())}</span><code>${text(path)}</code> <span class="about">${text(operation.summary)}</span></summary>
<p>${text(operation.description ?? '')} ${roles ? `<span class="about">Roles: ${text(roles.join(', '))}.</span>` : ''}</p>
${parameters.length > 0 ? `<h4>Parameters</h4><table>${parameters.join('')}</table>` : ''}
${body ? `<h4>Body</h4>${contentHtml(body)}` : ''}<h4>Answers</h4><table>${answers.join('')}</table></details>`;
}

function contentHtml(content: unknown): string {
  return Object.entries((content ?? {}) as Record<string, Json>)
    .map(([type, { schema }]) => `<code>${text(type)}</code> ${brief(schema)}`)
    .join(' ');
}

/** A link to a named schema, or the schema itself when it is short. */
function brief(schema: unknown): string {
  const { $ref } = (schema ?? {}) as { $ref?: string };
  if ($ref) {
    const id = $ref.slice($ref.lastIndexOf('/') + 1);
    return `<a href="#${text(id)}">${text(id)}</a>`;
  }
  const short = JSON.stringify(schema ?? {});
  return short.length < 90 ? `<code>${text(short)}</code>` : pre(schema);
}

function pre(value: unknown): string {
  return `<pre>${text(JSON.stringify(value, null, 2))}</pre>`;
}

function text(value: unknown): string {
  return String(value)
    .replaceAll('&', '&amp;')
    .replaceAll('<', '&lt;')
    .replaceAll('>', '&gt;')
    .replaceAll('"', '&quot;');
}
