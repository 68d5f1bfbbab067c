"""Facts of the Ethos-U55, each in one place. Imports nothing but the standard library."""
