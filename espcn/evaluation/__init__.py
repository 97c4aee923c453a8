"""Scoring with the benchmark protocol, and pictures of the results."""
