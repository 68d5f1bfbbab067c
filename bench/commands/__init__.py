"""Commands of the `bench` program that look at one cell of a finished run."""
