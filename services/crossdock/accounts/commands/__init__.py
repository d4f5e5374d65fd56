"""Management commands: who may send them, and what they change. Pure."""
