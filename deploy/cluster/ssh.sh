#!/bin/sh
# A cluster of machines that ssh reaches: the scheduler here, workers there, until Ctrl-C.
#
#   deploy/cluster/ssh.sh 10.0.0.1 lab1 lab2 'lab3 --processes 2 --seats mps3=1'
#
# The first argument is this machine's address, as the others reach it. Each further one is a host,
# and what `bench cluster worker` is to be told there. Every host needs the same installation of the
# bench; BENCH names its program there (default: bench). Meanwhile, in another terminal:
#
#   bench run --cluster tcp://10.0.0.1:8786
set -eu

[ $# -ge 2 ] || { sed -n '2,10s/^# \{0,1\}//p' "$0"; exit 2; }
BENCH=${BENCH:-bench}
PORT=${PORT:-8786}
here=$1
shift

# Ctrl-C reaches all of them; what is left is ended with this script.
trap 'trap - EXIT INT TERM; kill 0' EXIT INT TERM

"$BENCH" cluster scheduler --host "$here" --port "$PORT" &
for machine in "$@"; do
    host=${machine%% *}
    options=${machine#"$host"}
    # -tt: when this end goes, the worker there gets a hang-up and ends.
    # shellcheck disable=SC2086 (options are several words)
    ssh -tt -o BatchMode=yes "$host" \
        "$BENCH" cluster worker "tcp://$here:$PORT" $options --patience 120 </dev/null &
done
wait
