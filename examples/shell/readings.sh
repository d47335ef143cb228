#!/bin/sh
# Writes three JSON records through millrace, reads them back as a member of a consumer
# group, and reads them once more directly from their partition.
#
#     sh readings.sh [URL [TOPIC]]
set -eu

url=${1:-http://localhost:8082}
topic=${2:-readings}
group=$topic-readers
instance=$url/consumers/$group/instances/shell-$$

api=application/vnd.kafka.v2+json       # requests without records
json=application/vnd.kafka.json.v2+json # records whose values are JSON

response=$(mktemp)
trap 'rm -f "$response"' EXIT

# call prints the response. curl retries 429, 503 and 504, and waits for Retry-After. The records of
# a produce request that was answered with 504 may be written: the retry, which curl makes without
# being asked to, may write them twice.
call() {
    : >"$response" # curl leaves the file alone where a response has no body
    if ! curl --silent --show-error --fail-with-body --retry 5 --output "$response" "$@"; then
        cat "$response" >&2
        exit 1
    fi
    cat "$response"
}

# Records with one key go to one partition, where their order is kept.
written=$(call -H "Content-Type: $json" "$url/topics/$topic" --data '{"records":[
    {"key":"sensor-7","value":{"celsius":20.5}},
    {"key":"sensor-7","value":{"celsius":21.0}},
    {"key":"sensor-7","value":{"celsius":21.5}}]}')
echo "written: $written"
case $written in
*'"offset":null'*) echo "a record was not written" >&2; exit 1 ;;
esac

call -H "Content-Type: $api" "$url/consumers/$group" \
    --data "{\"name\":\"shell-$$\",\"format\":\"json\",\"auto.offset.reset\":\"earliest\"}" >/dev/null
trap 'call -X DELETE "$instance"; rm -f "$response"' EXIT
call -H "Content-Type: $api" "$instance/subscription" --data "{\"topics\":[\"$topic\"]}" >/dev/null

# A read waits for the partitions and for records, and answers as soon as it has some.
read=$(call -H "Accept: $json" "$instance/records?timeout=10000")
echo "consumer: $read"
# Without a body this commits all that was read.
call -X POST -H "Content-Type: $api" "$instance/offsets" >/dev/null

# The partition and the offset of the first record, to read from there without a consumer.
partition=$(echo "$written" | sed 's/.*"offsets":\[{"partition":\([0-9]*\).*/\1/')
offset=$(echo "$written" | sed 's/.*"offsets":\[{"partition":[0-9]*,"offset":\([0-9]*\).*/\1/')
read=$(call -H "Accept: $json" "$url/topics/$topic/partitions/$partition/records?offset=$offset&timeout=1000")
echo "direct: $read"
