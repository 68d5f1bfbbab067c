#!/bin/sh
# Without arguments, or with options only: the main job, `bench run` and the options.
# Otherwise the arguments are a command: `bench cache list`, `bench init`, `sh`.
set -eu
case "${1:--}" in
  -*)
    configured=
    for argument; do
      case "$argument" in --bench-config*) configured=1 ;; esac
    done
    if [ -z "$configured" ] && [ ! -e bench.toml ]; then
      echo "bench: there is no bench.toml in $PWD, so the built-in study runs" >&2
      set -- --bench-config=/opt/bench/bench.toml "$@"
    fi
    set -- bench run -p no:cacheprovider --bench-results=/results "$@"
    ;;
esac
exec "$@"
