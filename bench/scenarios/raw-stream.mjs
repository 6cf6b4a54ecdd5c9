// What Redis gives without Troupe: two processes, one stream each way, packed entries, a consumer group, nothing between.
import { fork } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { Redis } from 'ioredis';
import { Packr } from 'msgpackr';

const packr = new Packr({ useRecords: true });
const THERE = 'raw:there';
const BACK = 'raw:back';
const IN_FLIGHT = 64;

async function group(redis, key) {
  await redis.xgroup('CREATE', key, 'g', '0', 'MKSTREAM').catch(() => undefined);
}

/** Gives each entry, unpacked, to `take`, then acknowledges and deletes it. */
async function consume(url, key, take) {
  const [reader, writer] = [new Redis(url), new Redis(url)];
  await group(writer, key);
  for (;;) {
    const answer = await reader.xreadgroupBuffer('GROUP', 'g', 'c', 'COUNT', 64, 'BLOCK', 1_000, 'STREAMS', key, '>');
    if (!answer) continue;
    const ids = [];
    for (const [id, fields] of answer[0][1]) {
      take(packr.unpack(fields[1]));
      ids.push(id);
    }
    void writer.xack(key, 'g', ...ids);
    void writer.xdel(key, ...ids);
  }
}

export async function streams(url) {
  const writer = new Redis(url);
  await Promise.all([group(writer, THERE), group(writer, BACK)]);
  const child = fork(fileURLToPath(import.meta.url), [url], { stdio: ['ignore', 'inherit', 'inherit', 'ipc'] });
  await new Promise((resolve) => child.once('message', resolve));
  let told = () => undefined;
  const reading = consume(url, BACK, (count) => told(count));
  reading.catch(() => undefined);
  const post = (messages) => writer.xadd(THERE, '*', 'f', packr.pack(messages));
  return {
    async send(times, batch) {
      const began = performance.now();
      let counted = 0;
      let wake = () => undefined;
      told = (count) => {
        counted += count;
        wake();
      };
      let sent = 0;
      while (counted < times) {
        while (sent < times && sent - counted < batch * IN_FLIGHT) {
          const messages = Array.from({ length: Math.min(batch, times - sent) }, (_, n) => ({
            to: 'agt_01h455vb4pex5vsknk084sn02q',
            from: 'agt_01h455vb4pex5vsknk084sn02r',
            type: 'inc',
            body: { k: 'v', n: sent + n },
          }));
          sent += messages.length;
          void post(messages);
        }
        await new Promise((resolve) => {
          wake = resolve;
        });
      }
      return { count: counted, ms: performance.now() - began };
    },
    async ping(times) {
      const latencies = [];
      for (let n = 0; n < times; n++) {
        const began = performance.now();
        const back = new Promise((resolve) => {
          told = resolve;
        });
        void post([{ type: 'echo', body: { n } }]);
        await back;
        latencies.push(performance.now() - began);
      }
      return latencies;
    },
    async close() {
      child.kill('SIGKILL');
      writer.disconnect();
    },
  };
}

if (process.send && process.argv[1] === fileURLToPath(import.meta.url)) {
  const url = process.argv[2];
  const writer = new Redis(url);
  await group(writer, THERE);
  process.send('up');
  await consume(url, THERE, (messages) => void writer.xadd(BACK, '*', 'f', packr.pack(messages.length)));
}
