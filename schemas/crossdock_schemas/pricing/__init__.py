"""The catalogue and its prices: what a call costs, and what a request can cost at most."""
