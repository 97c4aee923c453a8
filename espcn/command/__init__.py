"""The command `upscale.py`: which files it takes, what it has done, what it prints."""
