"""Training by several hospitals together: patients and discriminators stay, sums and generators' weights travel."""
