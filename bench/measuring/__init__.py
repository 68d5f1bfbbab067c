"""The way from a cell to its record: model, test set, compilation, measurement, reference."""
