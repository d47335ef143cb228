"""CloudEvents of the SDK of Python, in each mode of the HTTP binding:

    events.py URL

URL is an ingest route. The SDK has no batches of its own: one is a list of its structured events.
"""

import sys
import urllib.request

from cloudevents.conversion import to_binary, to_json, to_structured
from cloudevents.http import CloudEvent


def event(n):
    attributes = {"id": f"id-{n}", "source": "/sdk", "type": "test.sent", "partitionkey": f"key-{n}"}
    return CloudEvent(attributes, {"n": n})


def post(headers, body):
    with urllib.request.urlopen(urllib.request.Request(sys.argv[1], body, headers), timeout=30) as response:
        print(response.read().decode())


binary_headers, body = to_binary(event(1))
post({"Content-Type": "application/json", **binary_headers}, body)
post(*to_structured(event(2)))
batch = b"[" + b",".join(to_json(event(n)) for n in (3, 4)) + b"]"
post({"Content-Type": "application/cloudevents-batch+json"}, batch)
