"""From a planned cell to its record: models, test sets, compilation, measurement, reference."""
