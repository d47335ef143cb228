// Writes three JSON records through millrace, reads them back as a member of a consumer
// group, and reads them once more directly from their partition.
//
//     node readings.mjs [URL [TOPIC]]

import { setTimeout as sleep } from 'node:timers/promises';

const api = 'application/vnd.kafka.v2+json'; // requests without records
const json = 'application/vnd.kafka.json.v2+json'; // records whose values are JSON
const attempts = 5;

// call sends a request and returns what the JSON of the response holds. A response with
// Retry-After is retried: the node could not take the request now, and nothing was written. A 504
// to a produce request has none: its records may be written, and a retry may write them twice.
async function call(method, url, { body, contentType = api, accept = api } = {}) {
  for (let attempt = 1; ; attempt++) {
    const response = await fetch(url, {
      method,
      headers: { 'Content-Type': contentType, Accept: accept },
      body: body === undefined ? undefined : JSON.stringify(body),
      signal: AbortSignal.timeout(30_000),
    });
    const text = await response.text();
    if (response.ok) return text === '' ? null : JSON.parse(text);
    const wait = response.headers.get('Retry-After');
    if (wait === null || attempt === attempts) throw new Error(`${method} ${url}: ${response.status} ${text}`);
    await sleep(Number(wait) * 1000);
  }
}

// produce writes records and returns the slot of each, with its partition and its offset.
async function produce(url, topic, records) {
  const { offsets } = await call('POST', `${url}/topics/${topic}`, { body: { records }, contentType: json });
  // The other records of the request are written all the same.
  const failed = offsets.find(({ offset }) => offset === null);
  if (failed) throw new Error(`a record was not written: ${failed.error}`);
  return offsets;
}

// consume yields records as a member of a consumer group, and commits them.
async function* consume(url, topic, count) {
  const settings = { format: 'json', 'auto.offset.reset': 'earliest' };
  const { base_uri: instance } = await call('POST', `${url}/consumers/${topic}-readers`, { body: settings });
  try {
    await call('POST', `${instance}/subscription`, { body: { topics: [topic] } });
    for (let left = count; left > 0; ) {
      // A read waits for the partitions and for records, and answers as soon as it has some.
      const page = await call('GET', `${instance}/records?timeout=10000`, { accept: json });
      yield* page;
      left -= page.length;
    }
    await call('POST', `${instance}/offsets`); // without a body: all that was read
  } finally {
    await call('DELETE', instance);
  }
}

const [url = 'http://localhost:8082', topic = 'readings'] = process.argv.slice(2);

// Records with one key go to one partition, where their order is kept.
const values = [{ celsius: 20.5 }, { celsius: 21.25 }, { celsius: 22.5 }];
const written = await produce(url, topic, values.map((value) => ({ key: 'sensor-7', value })));
for (const { partition, offset } of written) console.log(`written: partition ${partition}, offset ${offset}`);

for await (const { key, value } of consume(url, topic, values.length)) console.log(`consumer: ${key} ${value.celsius}`);

const [{ partition, offset }] = written;
const direct = `${url}/topics/${topic}/partitions/${partition}/records?offset=${offset}&timeout=1000`;
for (const { key, value } of await call('GET', direct, { accept: json })) console.log(`direct: ${key} ${value.celsius}`);
