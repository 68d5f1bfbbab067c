#!/bin/sh
# The virtual Corstone-300 under the FVP's name. It says what it is: see its banner, or --version.
PYTHONPATH=/opt/virtual exec /opt/venv/bin/python -m ethos_u55_bench.targets.virtual "$@"
