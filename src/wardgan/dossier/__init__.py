"""The dossier: what a generator gives away, what it is good for, and whether it may leave."""
