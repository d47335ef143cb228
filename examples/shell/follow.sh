#!/usr/bin/env bash
# Sends the lines of a file, and those that are appended to it, as events: JSON a line.
#
#     bash follow.sh FILE [URL]
set -euo pipefail

file=$1
url=${2:-http://localhost:8082/ingest/log}

# post sends lines, and those again that the answer says. curl retries 429, 503 and 504, and waits
# for Retry-After, and retries when there is no connection. Lines of which the node could not say
# whether they were written (504) may come twice. A line that is not JSON is refused alone, and the
# answer, which has its reason, is shown.
post() {
    local lines=("$@") answer pair
    while ((${#lines[@]})); do
        answer=$(printf '%s\n' "${lines[@]}" | curl --silent --show-error --retry 100 --retry-connrefused --max-time 60 \
            -H "Content-Type: application/x-ndjson" --data-binary @- "$url")
        echo "$answer" >&2
        local again=()
        while read -r pair; do
            again+=("${lines[${pair//[^0-9]/}]}")
        done < <(grep -oE '"index":[0-9]+|"retry":(true|false)' <<<"$answer" | paste -d ' ' - - | grep true)
        lines=(${again[@]+"${again[@]}"})
        ((${#lines[@]} == 0)) || sleep 5 # no node asks to wait for longer
    done
}

# Each line that comes starts a batch, which has those that follow within a second. Then a line may
# be there in part: the rest of it begins the next batch.
tail -n +1 -F "$file" | {
    part=
    while IFS= read -r line; do
        batch=()
        while :; do
            line=$part$line part=
            [[ $line =~ ^[[:space:]]*$ ]] || batch+=("$line") # the answer does not count such lines
            ((${#batch[@]} < 500)) || break
            IFS= read -r -t 1 line || { part=$line && break; }
        done
        ((${#batch[@]} == 0)) || post "${batch[@]}"
    done
}
