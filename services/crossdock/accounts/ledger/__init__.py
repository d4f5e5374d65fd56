"""What money does: holds, captures, releases, postings, credits, alerts. Pure."""
