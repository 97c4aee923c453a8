"""Faults and damaged files: what becomes of the work, and of the program."""
