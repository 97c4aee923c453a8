"""Scoring by the benchmark protocol, and pictures of what was scored."""
