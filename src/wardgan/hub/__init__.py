"""Sharing: releases in a folder or in any OCI registry, every byte checked on its way."""
