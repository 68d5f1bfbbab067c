"""What is to be done, from the configuration alone: cells, the grid, `bench.toml`, metrics."""
