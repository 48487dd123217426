"""The whole journey with invented patients: from a file to a signed model, and what it is worth."""
