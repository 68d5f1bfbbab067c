"""The plan of a run, from `bench.toml` alone: cells, the grid, metrics."""
