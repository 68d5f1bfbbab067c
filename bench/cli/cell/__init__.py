"""The verbs that look at one finished cell."""
