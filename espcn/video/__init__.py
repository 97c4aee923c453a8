"""Upscale videos: decoding, frames, encoding, their other streams."""
