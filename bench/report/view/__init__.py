"""The one view of a run, from which all reports are made. Judges nothing."""
