"""What a budget does to a table like yours: fits on invented patients, before a real one is read."""
