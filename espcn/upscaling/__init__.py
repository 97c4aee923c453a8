"""Upscale pictures: detection of their compression, `Upscaler`, sizes, all kinds of files."""
