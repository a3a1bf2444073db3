#!/bin/sh
# A cron-like loop, in one place: leader-async run --election cron -- sh deploy/examples/cron.sh
while :; do
    echo "tick under token $LEADER_TOKEN"
    sleep 1
done
