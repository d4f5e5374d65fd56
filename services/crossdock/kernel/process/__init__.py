"""What every process needs: settings, logs, metrics, health, life cycle, clock, errors, records."""
