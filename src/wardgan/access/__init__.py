"""Who may do what at a hub: accounts, tokens, tiers, terms, grants, limits, and the log of all of it."""
