"""Pruning and clustering of the stored weights of a quantised `.tflite`, without training."""
