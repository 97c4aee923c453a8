"""ESPCN: real-time super-resolution by an efficient sub-pixel convolutional network (CVPR 2016)."""

__version__ = "0.1.0"
