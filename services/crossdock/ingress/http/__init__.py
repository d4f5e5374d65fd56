"""Around every route: who asks, bodies, backpressure, errors, and the producer."""
