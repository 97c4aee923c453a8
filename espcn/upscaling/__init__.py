"""Upscale pictures: how they were compressed, the weights for it, sizes, bands and files."""
