"""The institution's ledger: what all fits of the same patients cost together, in one SQLite file (Rule P14)."""
