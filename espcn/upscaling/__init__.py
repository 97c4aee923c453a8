"""Upscale pictures and videos: the command `upscale.py` and what it runs."""
