"""Commands of management: which are allowed, and what they change. Pure."""
