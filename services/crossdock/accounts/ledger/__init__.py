"""The ledger: holds, captures, releases, postings, credits, alerts. Pure."""
