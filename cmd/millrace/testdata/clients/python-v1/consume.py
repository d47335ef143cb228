"""The example of kafka-rest-client's own documentation, as far as it goes.

    consume.py REST TOKEN_URL TOPIC GROUP

It prints what each poll brought. After the first it waits until the client's
thread has sent a heartbeat, and for a line of input, before it commits.
"""
import json
import os
import sys
import threading
import types
import urllib.parse

# The client was written for Python 2: this module has moved since.
sys.modules["urlparse"] = types.ModuleType("urlparse")
sys.modules["urlparse"].urlparse = urllib.parse.urlparse
os.environ["OAUTHLIB_INSECURE_TRANSPORT"] = "1"  # the token comes by http here

from proofpoint.kafka.KafkaRestConsumer import KafkaRestConsumer  # noqa: E402
from requests_oauthlib import OAuth2Session  # noqa: E402

rest, token_url, topic, group = sys.argv[1:]
heartbeat = threading.Event()
request = OAuth2Session.request


def watched(self, method, url, *args, **kwargs):
    response = request(self, method, url, *args, **kwargs)
    if url.endswith("max_bytes=1"):
        print(json.dumps(["heartbeat", response.status_code, response.json()]), flush=True)
        heartbeat.set()
    return response


OAuth2Session.request = watched

consumer = KafkaRestConsumer(
    group_name=group, client_name="client", format="json", offset="smallest", heartbeat_interval=5,
    oauth_token_url=token_url, auth_client_id="id", auth_client_secret="secret", kafka_rest_lb=rest)
consumer.subscribe(topic)
polls = 0
while polls < 2:
    messages = consumer.poll()
    if not messages:
        continue
    polls += 1
    print(json.dumps(["polled", messages]), flush=True)
    if polls == 1:
        sys.stdin.readline()
        heartbeat.wait()
    consumer.commit()
consumer.close()
