#!/usr/bin/env bash
# Sends the lines of a file, and those that are appended to it, as events: JSON a line.
#
#     bash follow.sh FILE [URL]
set -euo pipefail

file=$1
url=${2:-http://localhost:8082/ingest/log}

# post sends lines. curl retries 429, 503 and 504, and waits for Retry-After, and retries when there
# is no connection. Lines of which the node could not say whether they were written (504) may come
# twice. A line that is not JSON is refused alone, and the answer, which has its reason, is shown.
post() {
    curl --silent --show-error --retry 100 --retry-connrefused --max-time 60 \
        -H "Content-Type: application/x-ndjson" --data-binary @- "$url" >&2
    echo >&2
}

# Each line that comes starts a batch, which has those that follow within a second.
tail -n +1 -F "$file" | while IFS= read -r line; do
    batch=$line$'\n'
    n=1
    while ((n < 500)) && IFS= read -r -t 1 line; do
        batch+=$line$'\n'
        n=$((n + 1))
    done
    printf %s "$batch" | post
done
