"""Creates topics and tables, and the first organization."""
