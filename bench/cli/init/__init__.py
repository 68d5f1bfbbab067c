"""`bench init`: the first files of a user's own bench."""
