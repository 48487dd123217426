"""The AC-GAN of Beaulieu-Jones et al. 2019 with its flaws mended; kept for reproduction and as the plain baseline."""
