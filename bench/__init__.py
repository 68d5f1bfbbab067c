"""The engine of the bench: plan, build, measure, judge, report. Never imports TensorFlow."""

__version__ = "0.1.0"
