"""The history: the figures of all runs, the steps in them, and comparisons of two runs."""
