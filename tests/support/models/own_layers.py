"""A layer of a user's own, for recipes of tests."""

from __future__ import annotations

__all__ = ["LAYERS"]

#: The text of its module.
LAYERS = """
import tensorflow as tf

class Scale(tf.keras.layers.Layer):
    def build(self, shape):
        self.scale = self.add_weight(name="scale", shape=(), initializer="ones")

    def call(self, x):
        return x * self.scale
"""
