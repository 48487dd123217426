"""The private anchor: margins and correlations for each class, from four noisy tables."""
