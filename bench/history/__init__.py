"""What runs have in common and where they part: the history of figures, and comparisons."""
