"""The smallest generator: private margins and correlations for each class. The bar for every network."""
