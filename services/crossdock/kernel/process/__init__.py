"""The basis of every process: settings, logs, metrics, health, life cycle, clock, errors, records."""
