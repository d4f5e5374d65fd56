"""Commands that manage organizations, projects, keys, policies, budgets, credits, presets and BYOK keys."""
