"""The network in formats that other programs read."""
