"""Records in, reports out: terminal tables and JUnit. Judges nothing, measures nothing."""
