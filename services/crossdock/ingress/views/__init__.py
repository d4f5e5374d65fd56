"""Views rebuilt from topics at start: accounts, files, batches, results."""
