"""An Ethos-U55 in Python: executes what Vela compiled, bit for bit, and counts its traffic."""
