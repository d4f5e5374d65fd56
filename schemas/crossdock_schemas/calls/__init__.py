"""Calls to providers: claims before them, usage after them, health of endpoints, cancels."""
