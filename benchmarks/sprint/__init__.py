"""SPRINT_gan (Beaulieu-Jones et al. 2019) again: as coded in 2017, with its flaws mended, and beside newer families."""
