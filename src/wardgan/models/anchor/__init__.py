"""The private anchor: margins and correlations for each class, from a few noisy tables."""
