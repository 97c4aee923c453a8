"""Pure functions on pictures: colour, the shuffle, degradation, resizing, metrics."""
