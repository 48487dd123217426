"""Generators, and unlimited synthetic patients from them."""
