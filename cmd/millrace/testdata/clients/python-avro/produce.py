"""Writes with PyPI's kafka-rest, a client of v1 that sends Avro with its schema as text at first
and by the id that it was answered from then on.

    produce.py HOST PORT TOPIC

It was written for Python 2 and for the Avro library of that time, which is no more: the names
that have moved since are put where it looks for them. All that it sends is its own.
"""

import collections
import collections.abc
import json
import sys

import avro.errors
import avro.io

collections.MutableMapping = collections.abc.MutableMapping
avro.io.AvroTypeException = avro.errors.AvroTypeException

from kafka_rest.client import KafkaRESTClient

HOST, PORT, TOPIC = sys.argv[1:]
VALUE = {"type": "record", "name": "Reading", "fields": [{"name": "n", "type": "long"}, {"name": "note", "type": ["null", "string"]}]}
KEY = {"type": "string"}

written = 0


def on_success(topic, succeeded, failed):
    global written
    written += len(succeeded)
    if failed or written % 2 == 0:  # two records are sent in one request or in two
        print(json.dumps(["written", written, len(failed)]), flush=True)


client = KafkaRESTClient(HOST, PORT, flush_length_threshold=2, flush_time_threshold_seconds=0.2)
client.registrar.register("produce_success", on_success)
client.registrar.register("drop_message", lambda topic, message, reason: print(json.dumps(["dropped", reason]), flush=True))
for n in range(4):
    if n == 2:
        sys.stdin.readline()  # until the first two are answered
        print(json.dumps(["ids", "value-id" in client.schema_cache[TOPIC], "key-id" in client.schema_cache[TOPIC]]), flush=True)
    client.produce(TOPIC, {"n": n, "note": "odd" if n % 2 else None}, VALUE, key=f"k{n}", key_schema=KEY)
sys.stdin.readline()
client.shutdown(block=True)
