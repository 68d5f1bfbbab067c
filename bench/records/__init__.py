"""What is stored about a run: its records and its directory."""
