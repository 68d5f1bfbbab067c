#!/bin/sh
# pip install inside the image's build, everything by hash. Index, mirror and certificates are the
# builder's: build arguments PIP_INDEX_URL and PIP_EXTRA_INDEX_URL, secrets pip_conf and ca_bundle.
set -eu
if [ -s /run/secrets/pip_conf ]; then
  export PIP_CONFIG_FILE=/run/secrets/pip_conf
fi
if [ -s /run/secrets/ca_bundle ]; then
  export PIP_CERT=/run/secrets/ca_bundle
fi
# An empty build argument means "not given", not "an index without a name".
[ -n "${PIP_INDEX_URL:-}" ] || unset PIP_INDEX_URL
[ -n "${PIP_EXTRA_INDEX_URL:-}" ] || unset PIP_EXTRA_INDEX_URL
exec /opt/venv/bin/pip install --no-cache-dir --disable-pip-version-check --require-hashes "$@"
