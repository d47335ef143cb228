"""Sends events as an app does that is offline at times: each is kept in a file until it is sent.

    python3 events.py QUEUE [URL] < EVENTS

Events are read as JSON lines. What cannot be sent stays in QUEUE, and is sent by the next run.
"""

import gzip
import http.client
import json
import random
import sqlite3
import sys
import time
import urllib.error
import urllib.request

BATCH = 500
ATTEMPTS = 5


class Sender:
    """Sends the events of a queue on the disk, in order. One process may use a queue at a time."""

    def __init__(self, queue, url):
        self.url = url
        self.db = sqlite3.connect(queue, isolation_level=None)
        self.db.execute("CREATE TABLE IF NOT EXISTS events (n INTEGER PRIMARY KEY, event TEXT)")

    def add(self, event):
        """Adds an event, which outlives the process from then on."""
        self.db.execute("INSERT INTO events (event) VALUES (?)", (json.dumps(event),))

    def flush(self):
        """Sends all events, and returns how many are left, for want of a network or a node."""
        attempt, size = 0, BATCH
        while batch := self.db.execute("SELECT n, event FROM events ORDER BY n LIMIT ?", (size,)).fetchall():
            try:
                done, wait = self.post([event for _, event in batch])
            except TooMuch:
                size = max(1, len(batch) // 2)
                if len(batch) > 1:
                    continue
                done, wait = [], None
            self.db.executemany("DELETE FROM events WHERE n = ?", [(batch[i][0],) for i in done])
            if len(done) < len(batch):
                attempt += 1
                if attempt == ATTEMPTS:
                    break
                time.sleep(wait if wait is not None else random.uniform(0, 2**attempt / 8))
            else:
                attempt, size = 0, min(BATCH, 2 * size)
        return self.db.execute("SELECT count(*) FROM events").fetchone()[0]

    def post(self, events):
        """Sends events. Returns the indexes of those that need not be sent again, and the seconds
        to wait before the others, if the node has said that."""
        headers = {"Content-Type": "application/x-ndjson", "Content-Encoding": "gzip"}
        request = urllib.request.Request(self.url, gzip.compress("\n".join(events).encode()), headers)
        try:
            try:
                response = urllib.request.urlopen(request, timeout=30)
            except urllib.error.HTTPError as error:
                response = error
            with response:
                status, wait, text = response.status, response.headers.get("Retry-After"), response.read()
        except (OSError, http.client.HTTPException) as error:  # no network, or no node
            print(f"{self.url}: {error}", file=sys.stderr)
            return [], None
        if status == 413 and len(events) > 1 or status == 408:
            raise TooMuch
        wait = int(wait) if wait is not None and wait.isdigit() else None
        answer = answer_of(text)
        if status < 300 and (status == 204 or "accepted" in answer):
            return accepted(answer, events), wait
        if wait is not None or status in (502, 503, 504):
            return [], wait
        if status != 413 and "error_code" not in answer:
            print(f"{self.url}: the answer {status} is not of a node", file=sys.stderr)
            return [], None
        print(f"{len(events)} events are refused: {status} {text.decode(errors='replace')}", file=sys.stderr)
        return range(len(events)), None


class TooMuch(Exception):
    """Fewer events may go in a request."""


def answer_of(text):
    """Returns what a node says. Others on the way, such as the network of a hotel, say nothing."""
    try:
        answer = json.loads(text)
    except ValueError:
        return {}
    return answer if isinstance(answer, dict) else {}


def accepted(answer, events):
    """Returns the indexes of the events that need not be sent again."""
    refused = answer.get("errors", [])
    for error in refused:
        if not error["retry"]:
            print(f"an event is refused: {error['message']}", file=sys.stderr)
    again = {error["index"] for error in refused if error["retry"]}
    return [i for i in range(len(events)) if i not in again]


def main(queue, url="http://localhost:8082/ingest/app"):
    sender = Sender(queue, url)
    for line in filter(str.strip, sys.stdin):
        sender.add(json.loads(line))
    if left := sender.flush():
        raise SystemExit(f"{left} events are left for the next run")


if __name__ == "__main__":
    main(*sys.argv[1:])
