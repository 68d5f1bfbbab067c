"""The compressed weight stream: decoding it, its order, its size."""
