"""Commands that run batches, and show usage and the audit."""
