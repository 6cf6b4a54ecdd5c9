// What the platform gives without Troupe: two workers, one MessagePort, nothing between. Plain JavaScript, so that no
// loader stands between it and the machine.
import { isMainThread, MessageChannel, Worker, workerData } from 'node:worker_threads';
import { Packr } from 'msgpackr';

const WINDOW = 4_096;

/** Two workers joined by a port. `run(order)` gives the sender an order and resolves with its answer. */
export async function joined() {
  const { port1, port2 } = new MessageChannel();
  const start = (role, port) =>
    new Worker(new URL(import.meta.url), { workerData: { role, port }, transferList: [port] });
  const sender = start('sender', port1);
  const receiver = start('receiver', port2);
  return {
    run: (order) =>
      new Promise((resolve) => {
        sender.once('message', resolve);
        sender.postMessage(order);
      }),
    close: () => Promise.all([sender.terminate(), receiver.terminate()]).then(() => {}),
  };
}

if (!isMainThread && workerData?.role) {
  const { role, port } = workerData;
  // Agreed records: both ends know the shapes beforehand.
  const structures = [
    ['type', 'id', 'from', 'body'],
    ['k', 'n'],
  ];
  const packr = new Packr({ structures, maxSharedStructures: structures.length });
  if (role === 'receiver') receive(port, packr);
  else send(port, packr);
}

function receive(port, packr) {
  let count = 0;
  let sum = 0;
  port.on('message', (value) => {
    if (value instanceof ArrayBuffer) {
      const messages = packr.unpack(new Uint8Array(value));
      if (messages[0].type === 'echo') {
        postBatch(port, packr, messages);
        return;
      }
      for (const message of messages) {
        count++;
        sum += message.body.n;
      }
      port.postMessage(count);
    } else if (value === 'report') {
      port.postMessage({ count, sum });
      count = 0;
      sum = 0;
    } else port.postMessage(value);
  });
}

function postBatch(port, packr, messages) {
  const bytes = packr.pack(messages);
  const exact = bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.byteLength);
  port.postMessage(exact, [exact]);
}

async function send(port, packr) {
  const { parentPort } = await import('node:worker_threads');
  let onReply = () => {};
  port.on('message', (value) => onReply(value));
  parentPort.on('message', async (order) => parentPort.postMessage(await orders[order.type](order)));
  const orders = {
    /** Batches of `batch` messages, a window of acknowledgements, the receiver's count and checksum in the end. */
    tell: ({ times, batch }) =>
      new Promise((resolve) => {
        let acked = 0;
        let n = 0;
        const begin = performance.now();
        const pump = () => {
          while (n < times && n - acked < WINDOW) {
            const messages = [];
            for (let at = 0; at < batch && n < times; at++) {
              n++;
              messages.push({ type: 'inc', id: n, from: 'a', body: { k: 'v', n } });
            }
            postBatch(port, packr, messages);
          }
        };
        onReply = (value) => {
          if (typeof value !== 'number') return resolve({ ...value, ms: performance.now() - begin });
          acked = value;
          if (acked === times) port.postMessage('report');
          else pump();
        };
        pump();
      }),
    /** Two batches under way, there and back as bytes; each reply is looked up by its question. */
    askBatched: ({ times, batch }) =>
      new Promise((resolve) => {
        let next = 0;
        let done = 0;
        const open = new Map();
        const post = () => {
          const messages = [];
          for (let at = 0; at < batch && next < times; at++) {
            const n = next++;
            open.set(n, n);
            messages.push({ type: 'echo', id: n, from: 'a', body: { k: 'v', n } });
          }
          if (messages.length > 0) postBatch(port, packr, messages);
        };
        const begin = performance.now();
        onReply = (value) => {
          for (const { id, body } of packr.unpack(new Uint8Array(value))) {
            if (open.get(id) !== body.n) throw new Error('a reply to another question');
            open.delete(id);
            done++;
          }
          if (done === times) resolve({ count: done, ms: performance.now() - begin });
          else post();
        };
        post();
        post();
      }),
    /** Objects there and back, `inFlight` at a time. */
    ask: ({ times, inFlight }) =>
      new Promise((resolve) => {
        let next = 0;
        let done = 0;
        const latencies = [];
        const began = new Map();
        const post = () => {
          const n = next++;
          if (inFlight === 1) began.set(n, performance.now());
          port.postMessage({ type: 'echo', id: n, from: 'a', body: { k: 'v', n } });
        };
        const begin = performance.now();
        onReply = (value) => {
          if (inFlight === 1) {
            latencies.push(performance.now() - began.get(value.body.n));
            began.delete(value.body.n);
          }
          done++;
          if (next < times) post();
          else if (done === times) {
            latencies.sort((a, b) => a - b);
            resolve({ count: done, p50Ms: latencies[latencies.length >> 1], ms: performance.now() - begin });
          }
        };
        for (let at = 0; at < inFlight; at++) post();
      }),
  };
}
