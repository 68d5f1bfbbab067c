"""The workloads and how their variants are made: the only room that imports TensorFlow."""
