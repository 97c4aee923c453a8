"""Upscale videos: reading, each frame, writing, and what comes with them."""
