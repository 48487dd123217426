"""What catalogues of other people read: HealthDCAT-AP for a release, Croissant for a sample."""
