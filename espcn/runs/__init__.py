"""A run's directory and identity, how it was launched, and sweeps of runs."""
