"""A sample in many files, drawn by many processes: here, or on a cluster."""
