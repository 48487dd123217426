"""What may be known without looking at a patient, and rows that obey it."""
