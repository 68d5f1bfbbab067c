"""The workloads and how their variants are made: the only package that imports TensorFlow."""
