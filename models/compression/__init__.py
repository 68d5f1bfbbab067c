"""The ways to make a variant's weights with tfmot: prune, cluster, train with simulated int8."""
