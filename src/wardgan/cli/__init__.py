"""The command line: one file for each step of the journey, which only reads arguments, calls and prints."""
