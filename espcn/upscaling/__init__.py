"""People's own pictures and videos, upscaled: the command and what it does."""
