"""Export of the network to the formats of other programs."""
