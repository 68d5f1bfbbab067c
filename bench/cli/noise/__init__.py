"""The verbs about what varies: `bench calibrate` measures it, `bench freeze` ends it."""
