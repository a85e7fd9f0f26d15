"""A stack's configuration as a file: planned, applied and exported."""
