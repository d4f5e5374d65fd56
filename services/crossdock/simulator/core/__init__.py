"""Answers and faults of a simulated provider. Pure."""
