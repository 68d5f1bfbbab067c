"""A run put together: read and checked, with its engine and its judge."""
