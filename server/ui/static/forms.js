// The try-it forms: each shows its request as a curl command too.

import { root, V2 } from './api.js';
import { byId, text } from './dom.js';
import { pretty } from './json.js';

const mediaType = (format) => `application/vnd.kafka.${format}.v2+json`;
const LONGEST = 200_000; // characters that are shown of a request or a response

const quoted = (s) => `'${s.replaceAll("'", "'\\''")}'`;

// asCurl is a request in the words of a shell.
function asCurl(request) {
  const words = ['curl'];
  if (request.method !== 'GET') words.push('-X', request.method);
  for (const [header, value] of Object.entries(request.headers ?? {})) words.push('-H', quoted(`${header}: ${value}`));
  if (request.body !== undefined) words.push('--data', quoted(request.body));
  words.push(quoted(new URL(request.path, root).href));
  return words.join(' ');
}

// Exchange shows a form's request and response.
class Exchange {
  constructor(form) {
    this.curl = form.querySelector('[data-curl]');
    this.answer = form.querySelector('[data-answer]');
    this.said = form.elements.said;
  }

  preview(request) { text(this.curl, shortened(asCurl(request))); }

  refuse(words) {
    text(this.curl, '');
    text(this.answer, '–'); // the one before is not of what the form has now
    text(this.said, words);
  }

  // send resolves to the response's JSON, or to null when it failed.
  async send(request) {
    this.preview(request);
    text(this.answer, '–');
    const began = performance.now();
    try {
      const response = await fetch(new URL(request.path, root), {
        method: request.method, headers: request.headers, body: request.body, redirect: 'error',
      });
      const body = await response.text();
      text(this.said, `${response.status} ${response.statusText} in ${Math.round(performance.now() - began)} ms`);
      text(this.answer, shortened(pretty(body)) || '(empty)');
      if (!response.ok) return null;
      return body ? JSON.parse(body) : {};
    } catch (e) {
      text(this.said, `No answer: ${e.message}`);
      text(this.answer, '–');
      return null;
    }
  }
}

// shortened spares the browser the layout of megabytes.
const shortened = (s) => (s.length <= LONGEST ? s : `${s.slice(0, LONGEST)}\n… (${s.length} characters)`);

// Producing.

const produce = byId('produce');
const produced = new Exchange(produce);

// base64 is of a text's bytes, one after another: a call does not take a million arguments.
function base64(s) {
  let bytes = '';
  for (const b of new TextEncoder().encode(s)) bytes += String.fromCharCode(b);
  return btoa(bytes);
}

// member is a key or value as the format wants it, or undefined for none. JSON is
// sent as it was typed, so that no number changes.
function member(format, what, typed) {
  if (typed.trim() === '') return undefined;
  if (format === 'binary') return JSON.stringify(base64(typed));
  try {
    JSON.parse(typed);
  } catch (e) {
    throw new Error(`The ${what} is not JSON: ${e.message}. A text needs quotation marks.`);
  }
  return typed.trim();
}

function produceRequest() {
  const { topic, format, key, value, key_schema: keySchema, value_schema: valueSchema } = Object.fromEntries(new FormData(produce));
  const record = [['key', member(format, 'key', key)], ['value', member(format, 'value', value)]]
    .filter(([, v]) => v !== undefined).map(([k, v]) => `"${k}": ${v}`).join(', ');
  let schemas = '';
  if (schemaExamples[format]) {
    if (key.trim() !== '') schemas += `"key_schema": ${JSON.stringify(keySchema)}, `;
    schemas += `"value_schema": ${JSON.stringify(valueSchema)}, `;
  }
  return {
    method: 'POST', path: `topics/${encodeURIComponent(topic)}`,
    headers: { 'Content-Type': mediaType(format), Accept: V2 },
    body: `{${schemas}"records": [{${record}}]}`,
  };
}

// The first values of the fields, for the value in the form.
const schemaExamples = {
  avro: {
    key_schema: '"string"',
    value_schema: '{"type": "record", "name": "Reading", "fields": [{"name": "sensor", "type": "string"}, {"name": "celsius", "type": "double"}]}',
  },
  jsonschema: {
    key_schema: '{"type": "string"}',
    value_schema: '{"type": "object", "properties": {"sensor": {"type": "string"}, "celsius": {"type": "number"}}}',
  },
  protobuf: {
    key_schema: 'syntax = "proto3"; message Key { string id = 1; }',
    value_schema: 'syntax = "proto3"; message Reading { string sensor = 1; double celsius = 2; }',
  },
};

function formatChanged() {
  const format = produce.elements.format.value;
  const examples = schemaExamples[format];
  for (const part of produce.querySelectorAll('[data-schema]')) part.hidden = !examples;
  for (const [field, example] of Object.entries(examples ?? {})) produce.elements[field].value = example;
  const hint = format === 'binary' ? 'text, sent as base64' : 'JSON';
  text(produce.querySelector('[data-hint=key]'), `${hint}; empty for none`);
  text(produce.querySelector('[data-hint=value]'), hint);
}

function produceChanged() {
  if (!produce.elements.topic.value) return;
  try {
    produced.preview(produceRequest());
    text(produced.said, '');
  } catch (e) {
    produced.refuse(e.message);
  }
}

produce.elements.format.addEventListener('change', () => {
  formatChanged();
  produceChanged();
});
produce.addEventListener('input', produceChanged);
produce.addEventListener('submit', async (e) => {
  e.preventDefault();
  try {
    await produced.send(produceRequest());
  } catch (wrong) {
    produced.refuse(wrong.message);
  }
});

// Consuming.

const consume = byId('consume');
const consumed = new Exchange(consume);
let instance = null; // {path, format} while there is one

consume.elements.group.value = `ui-${Math.random().toString(36).slice(2, 8)}`;

function consuming(on) {
  instance = on;
  consume.elements.create.disabled = Boolean(on);
  consume.elements.poll.disabled = !on;
  consume.elements.delete.disabled = !on;
}

consume.addEventListener('submit', async (e) => {
  e.preventDefault();
  if (instance) return;
  const { topic, group, format, from } = Object.fromEntries(new FormData(consume));
  const created = await consumed.send({
    method: 'POST', path: `consumers/${encodeURIComponent(group)}`,
    headers: { 'Content-Type': V2, Accept: V2 },
    body: JSON.stringify({ format, 'auto.offset.reset': from }),
  });
  if (!created) return;
  // Not its base_uri: that may be an address for others.
  const path = `consumers/${encodeURIComponent(group)}/instances/${encodeURIComponent(created.instance_id)}`;
  consuming({ path, format });
  const subscribed = await consumed.send({
    method: 'POST', path: `${path}/subscription`,
    headers: { 'Content-Type': V2, Accept: V2 },
    body: JSON.stringify({ topics: [topic] }),
  });
  if (subscribed) consume.elements.poll.focus();
});

consume.elements.poll.addEventListener('click', async () => {
  consume.elements.poll.disabled = true;
  const records = await consumed.send({
    method: 'GET', path: `${instance.path}/records`, headers: { Accept: mediaType(instance.format) },
  });
  consume.elements.poll.disabled = !instance;
  consume.elements.poll.focus();
  if (records?.length === 0) text(consumed.said, `${consumed.said.value}: no records now`);
});

consume.elements.delete.addEventListener('click', async () => {
  const { path } = instance;
  consuming(null);
  await consumed.send({ method: 'DELETE', path, headers: { Accept: V2 } });
  consume.elements.create.focus();
});

// An instance should not outlive its page by its time-out.
addEventListener('pagehide', () => {
  if (instance) fetch(new URL(instance.path, root), { method: 'DELETE', keepalive: true });
});
