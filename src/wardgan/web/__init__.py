"""Web pages of a hub: what it has, what a release says of itself, and synthetic patients to look at and take home."""
