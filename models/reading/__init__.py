"""What a workload is made of: its recipe or files, read, pinned, loaded and looked at."""
