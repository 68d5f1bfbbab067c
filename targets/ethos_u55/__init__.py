"""Facts of the Ethos-U55, each in one place and with its source; what another NPU would replace.

Imports of ours nothing but `bench.core`. A fact that stands here stands nowhere else in the
product: `tests/unit/test_hardware_facts.py` looks.
"""
