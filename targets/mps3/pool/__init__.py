"""Several boards as one target: who gets which jobs, and a process for each board."""
