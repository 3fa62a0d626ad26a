#!/bin/sh
# Posts one event, sends the same request again, and reads it back: there is one event, as both had the same key.
# Usage: post.sh [URL]; SLUICE_KEY is sent as bearer token when it is set.
set -eu
url=${1:-http://127.0.0.1:8000}
key=$(od -An -N16 -tx1 /dev/urandom | tr -d ' \n')

post() {
  curl --silent --show-error --fail-with-body \
    --retry 5 --retry-connrefused --retry-max-time 120 \
    --header 'Content-Type: application/json' \
    --header "Idempotency-Key: $key" \
    ${SLUICE_KEY:+--header "Authorization: Bearer $SLUICE_KEY"} \
    --data '{"device_id": "greenhouse-7", "event_type": "temperature", "value_float": 21.5, "metadata": {"unit": "°C"}}' \
    "$url/ingest?wait=stored"
  echo
}

post
post
curl --silent --show-error --fail-with-body ${SLUICE_KEY:+--header "Authorization: Bearer $SLUICE_KEY"} \
  "$url/api/events?device_id=greenhouse-7&limit=10"
echo
