"""Writes three JSON records through millrace, reads them back as a member of a consumer
group, and reads them once more directly from their partition.

    python3 readings.py [URL [TOPIC]]
"""

import json
import sys
import time
import urllib.error
import urllib.request

API = "application/vnd.kafka.v2+json"  # requests without records
JSON = "application/vnd.kafka.json.v2+json"  # records whose values are JSON
ATTEMPTS = 5


def call(method, url, body=None, content_type=API, accept=API):
    """Sends a request and returns what the JSON of the response holds.

    A response with Retry-After is retried: the node could not take the request now, and nothing
    was written. A 504 to a produce request has none: its records may be written, and a retry may
    write them twice.
    """
    data = None if body is None else json.dumps(body).encode()
    headers = {"Content-Type": content_type, "Accept": accept}
    for attempt in range(1, ATTEMPTS + 1):
        try:
            request = urllib.request.Request(url, data, headers, method=method)
            with urllib.request.urlopen(request, timeout=30) as response:
                text = response.read()
                return json.loads(text) if text else None
        except urllib.error.HTTPError as error:
            wait = error.headers.get("Retry-After")
            if wait is None or attempt == ATTEMPTS:
                raise SystemExit(f"{method} {url}: {error.code} {error.read().decode()}")
            time.sleep(int(wait))


def produce(url, topic, records):
    """Writes records and returns the partition and the offset of each."""
    written = call("POST", f"{url}/topics/{topic}", {"records": records}, content_type=JSON)["offsets"]
    for slot in written:
        if slot["offset"] is None:  # the others of the request are written all the same
            raise SystemExit(f"a record was not written: {slot['error']}")
    return [(slot["partition"], slot["offset"]) for slot in written]


def consume(url, topic, count):
    """Yields records as a member of a consumer group, and commits them."""
    settings = {"format": "json", "auto.offset.reset": "earliest"}
    instance = call("POST", f"{url}/consumers/{topic}-readers", settings)["base_uri"]
    try:
        call("POST", f"{instance}/subscription", {"topics": [topic]})
        while count > 0:
            # A read waits for the partitions and for records, and answers as soon as it has some.
            page = call("GET", f"{instance}/records?timeout=10000", accept=JSON)
            yield from page
            count -= len(page)
        call("POST", f"{instance}/offsets")  # without a body: all that was read
    finally:
        call("DELETE", instance)


def main(url="http://localhost:8082", topic="readings"):
    # Records with one key go to one partition, where their order is kept.
    values = [{"celsius": 20.5}, {"celsius": 21.25}, {"celsius": 22.5}]
    written = produce(url, topic, [{"key": "sensor-7", "value": value} for value in values])
    for partition, offset in written:
        print(f"written: partition {partition}, offset {offset}")
    for record in consume(url, topic, len(values)):
        print(f"consumer: {record['key']} {record['value']['celsius']}")
    partition, offset = written[0]
    direct = f"{url}/topics/{topic}/partitions/{partition}/records?offset={offset}&timeout=1000"
    for record in call("GET", direct, accept=JSON):
        print(f"direct: {record['key']} {record['value']['celsius']}")


if __name__ == "__main__":
    main(*sys.argv[1:])
