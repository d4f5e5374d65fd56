"""The state of one partition's accounts, and the pages that it is kept in. Pure."""
