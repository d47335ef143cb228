"""Three clients of the v2 API, each as its documentation uses it:

    clients.py CLIENT URL TOPIC GROUP

Each writes two records and reads them, and prints what it has read as one line of JSON.
"""

import asyncio
import base64
import json
import sys
import time

client, url, topic, group = sys.argv[1:]
PATIENCE = 60  # seconds


def done(values):
    print(json.dumps(values))
    sys.exit(0)


def read_until(count, poll):
    """Gathers what poll returns until there is so much of it."""
    got, end = [], time.monotonic() + PATIENCE
    while len(got) < count and time.monotonic() < end:
        got += poll()
    return got


def bridge():
    """kafka-bridge-client with proxy='confluent': binary records, and a commit."""
    from kafka_bridge_client import KafkaBridgeConsumer, KafkaBridgeProducer, Message

    producer = KafkaBridgeProducer(url, timeout=10)
    producer.sends(topic, [Message(key='k1', value=b'one'), Message(key='k2', value=b'two')], binary=True)

    async def read():
        consumer = KafkaBridgeConsumer(
            topic, bootstrap_server=url, group_id=group, auto_offset_reset='earliest', enable_auto_commit=False,
            consumer_name='bridge', proxy='confluent', sleep_interval_seconds=0)
        async with consumer:
            got, end = [], time.monotonic() + PATIENCE
            while len(got) < 2 and time.monotonic() < end:
                got += await consumer.poll_records(max_bytes=100000, timeout=1000)
            await consumer.commit()
        return [[base64.b64decode(r[part]).decode() for part in ('key', 'value')] for r in got]

    done(asyncio.run(read()))


def nlp():
    """nlp-kafka-rest-api: answers to requests, by keys, under a second topic."""
    import kafka_rest

    answers = kafka_rest.Producer(kafka_rest_api_url=url, topic_id=topic + '-response')
    keys = answers.produce(['one', 'two'], 'endpoint', keys=['k1', 'k2'])
    consumer = kafka_rest.Consumer(kafka_rest_api_url=url, topic_id=topic, consumer_group=group)
    with consumer:
        got = read_until(2, lambda: [d for data in consumer.consume_all(keys, interval_sec=0.1) for d in data])
    done([[d['key'], d['value']['payload']] for d in got])


def mapr():
    """pymapr-kafkarest: JSON. Its producer passes its arguments in the wrong places, so that it is
    only the consumer that can be used."""
    import requests
    from pymapr_kafkarest import MaprKlient

    requests.post(f'{url}/topics/{topic}', headers={'Content-Type': 'application/vnd.kafka.json.v2+json'},
                  json={'records': [{'key': 'k1', 'value': 'one'}, {'key': 'k2', 'value': 'two'}]}).raise_for_status()
    consumer = MaprKlient(url + '/', group, topics=[topic], headers={})
    consumer.connect()
    consumer.subscribe()
    got = read_until(2, consumer.consume)
    consumer._instance_delete()
    done([[r['key'], r['value']] for r in got])


{'bridge': bridge, 'nlp': nlp, 'mapr': mapr}[client]()
