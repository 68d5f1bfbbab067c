"""The differences of two runs, as text for the terminal and as Markdown."""
