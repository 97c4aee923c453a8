"""The network: its layers, its weights, and the engines that run it."""
