"""`bench whatif`: the verb, and how its lists are read."""
