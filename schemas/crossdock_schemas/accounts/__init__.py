"""Organizations, keys, policies, budgets, credits, and the journal of what money did."""
