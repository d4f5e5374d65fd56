"""Commands that run requests, and tell what was used."""
