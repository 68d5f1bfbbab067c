#!/bin/sh
# Without arguments, or with options only: the main job, `pytest -n auto` and the options.
# Otherwise the arguments are a command: `bench cache list`, `pytest --collect-only`, `sh`.
set -eu
case "${1:--}" in
  -*)
    # The configuration file is named because pytest would look for it near any directory among
    # the options.
    set -- pytest -c /opt/bench/pyproject.toml --rootdir=/opt/bench -n auto -p no:cacheprovider \
      --bench-results=/results "$@"
    ;;
esac
exec "$@"
