"""The HTML report: one file that opens anywhere, offline, with everything that a run found."""
