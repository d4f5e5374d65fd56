"""What a simulated provider answers, and how it fails. Pure."""
