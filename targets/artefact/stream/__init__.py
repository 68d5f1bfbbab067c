"""The command stream: registers, decoding, and the operations that come out."""
