// Reads a request body within its limits: type, encoding, size, UTF-8; gives strict JSON or the lines of NDJSON.

import { EdgeError } from './problem.ts';
import { parseStrictJson } from './strict-json.ts';

/** Of one request. */
export const MAX_BODY_BYTES = 1_048_576;
/** Of a workflow: ten thousand tasks or a hundred thousand items come in one piece. */
export const MAX_WORKFLOW_BYTES = 8 * MAX_BODY_BYTES;
const MAX_LINES = 10_000;

export type BodyForm = 'json' | 'ndjson';

/**
 * The value of the body; undefined when there is none. NDJSON comes as the array of its lines.
 * @throws EdgeError 400, 413, 415 or 422.
 */
export async function readBody(
  request: Request,
  forms: readonly BodyForm[],
  maxBytes = MAX_BODY_BYTES,
): Promise<unknown> {
  const declared = request.headers.get('content-length');
  if (declared !== null && !/^\d+$/.test(declared))
    throw new EdgeError('malformed_request', 'Content-Length is no number.');
  if (declared !== null && Number(declared) > maxBytes) throw tooLarge(maxBytes);
  const bytes = await readBytes(request.body, maxBytes);
  if (bytes.length === 0) return undefined;
  const form = formOf(request, forms);
  const text = decode(bytes);
  return form === 'json' ? parseStrictJson(text) : parseLines(text);
}

async function readBytes(body: ReadableStream<Uint8Array> | null, maxBytes: number): Promise<Uint8Array> {
  if (!body) return new Uint8Array();
  const chunks: Uint8Array[] = [];
  let size = 0;
  for await (const chunk of body as unknown as AsyncIterable<Uint8Array>) {
    size += chunk.byteLength;
    if (size > maxBytes) throw tooLarge(maxBytes); // leaving the loop cancels the stream
    chunks.push(chunk);
  }
  return chunks.length === 1 && chunks[0] ? chunks[0] : Buffer.concat(chunks);
}

function formOf(request: Request, forms: readonly BodyForm[]): BodyForm {
  const encoding = request.headers.get('content-encoding');
  if (encoding !== null && encoding.toLowerCase() !== 'identity')
    throw new EdgeError('unsupported_media_type', 'Compressed bodies are not taken.', {
      headers: { 'accept-encoding': 'identity' },
    });
  const [type = '', ...parameters] = (request.headers.get('content-type') ?? '').toLowerCase().split(';');
  const charset = parameters.find((parameter) => parameter.trim().startsWith('charset='));
  const utf8 = charset === undefined || /^charset="?utf-8"?$/.test(charset.trim());
  const media = type.trim();
  if (utf8 && media === 'application/json') return 'json';
  if (utf8 && forms.includes('ndjson') && (media === 'application/x-ndjson' || media === 'application/jsonl'))
    return 'ndjson';
  const taken = forms.includes('ndjson') ? 'application/json or application/x-ndjson' : 'application/json';
  throw new EdgeError('unsupported_media_type', `Send ${taken} in UTF-8.`);
}

function decode(bytes: Uint8Array): string {
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch {
    throw new EdgeError('malformed_request', 'The body is not valid UTF-8.');
  }
}

function parseLines(text: string): unknown[] {
  const lines = text.split('\n').filter((line) => line.trim() !== '');
  if (lines.length > MAX_LINES) throw new EdgeError('invalid_input', `At most ${MAX_LINES} lines at once.`);
  return lines.map((line, index) => {
    try {
      return parseStrictJson(line);
    } catch (error) {
      if (error instanceof EdgeError) throw new EdgeError(error.code, `Line ${index + 1}: ${error.message}`);
      throw error;
    }
  });
}

function tooLarge(maxBytes: number): EdgeError {
  return new EdgeError('body_too_large', `At most ${maxBytes} bytes at once.`, {
    headers: { connection: 'close' },
  });
}
