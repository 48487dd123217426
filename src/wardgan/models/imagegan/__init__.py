"""A class-conditional GAN for images and masks: private waves inside the generator, a discriminator on top."""
