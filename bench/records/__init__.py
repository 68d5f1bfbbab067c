"""What is kept of a run: its records and its directory."""
