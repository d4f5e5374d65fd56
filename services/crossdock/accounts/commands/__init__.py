"""Management commands: the roles that may send them, and what they change. Pure."""
