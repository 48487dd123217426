"""A generator network that is fitted to private tables of pairs of variables."""
