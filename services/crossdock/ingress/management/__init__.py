"""The control plane: keys, organizations, policies, budgets, presets, BYOK keys, credits."""
