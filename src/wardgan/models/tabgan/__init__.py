"""A conditional GAN for tables and visits: a private anchor inside the generator, a private discriminator on top."""
