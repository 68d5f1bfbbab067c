"""Labels and metrics: which output is judged, and how right it is."""
