"""sink: insert, then commit."""
