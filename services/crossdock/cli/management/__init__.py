"""Commands that manage keys, organizations, policies, budgets, presets, own keys, credits."""
