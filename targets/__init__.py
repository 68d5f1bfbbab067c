"""Where a compiled model can run. Knows nothing of plans, judgements or reports."""
