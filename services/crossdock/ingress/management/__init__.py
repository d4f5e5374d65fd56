"""The control plane: keys, organizations, policies, budgets, presets, own provider keys, credits."""
