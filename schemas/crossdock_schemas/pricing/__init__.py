"""The catalogue, prices, cost of calls, and worst case of requests."""
