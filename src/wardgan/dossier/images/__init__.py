"""What a dossier says about a generator of images."""
