"""Facts of the Ethos-U55, each in one place and with its source; another NPU would replace them.

The package imports nothing of ours except `bench.core`. A fact stated here is stated nowhere else
in the product; `tests/unit/test_facts_once.py` checks this.
"""
