"""A network that is fitted to private tables of pairs of variables, shared by the families that ask for them."""
