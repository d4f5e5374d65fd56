"""The parts around every route: authentication, bodies, backpressure, errors and the producer."""
