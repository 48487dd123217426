"""Cohorts to arrays and back, exactly, from the schema alone."""
