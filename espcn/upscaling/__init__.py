"""Upscale pictures and videos: the choice of weights, `Upscaler`, files of every kind."""
