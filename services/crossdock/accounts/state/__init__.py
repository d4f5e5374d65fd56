"""The state of one partition's accounts, and the pages that store it. Pure."""
