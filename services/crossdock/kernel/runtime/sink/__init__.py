"""Sinks: rows are inserted, then offsets are committed."""
