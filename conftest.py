"""The bench's pytest plugin is active for everything under this directory."""

pytest_plugins = ["bench.pytest_plugin"]
