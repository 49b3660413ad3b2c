#!/bin/sh
# Run tests again and again beside four busy processes: what depends on time shows.
#   scripts/beside-load.sh [RUNS [PYTEST ARGUMENTS]]      20 runs of the tests of Lava and of processes, if not given
# Stops at the first run that fails.
set -eu
cd "$(dirname "$0")/.."
runs=${1:-20}
[ $# -eq 0 ] || shift
[ $# -gt 0 ] || set -- tests/lava tests/workers tests/test_threads.py

busy=
log=$(mktemp)
trap 'kill $busy; rm -f "$log"' EXIT
trap 'exit 130' INT TERM
for _ in 1 2 3 4; do
    while :; do :; done &
    busy="$busy $!"
done

run=1
while [ "$run" -le "$runs" ]; do
    printf 'run %s of %s: ' "$run" "$runs"
    .venv/bin/python -m pytest -q -p no:cacheprovider "$@" >"$log" 2>&1 || { cat "$log"; exit 1; }
    tail -n 1 "$log"
    run=$((run + 1))
done
