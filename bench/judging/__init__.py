"""From records and limits to verdicts."""
