"""Every noisy touch of patients, and its bill."""
