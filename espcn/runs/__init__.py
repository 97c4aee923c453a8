"""A run's directory and identity, its launcher, and sweeps of runs."""
