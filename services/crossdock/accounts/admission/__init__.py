"""Admission of parcels: permitted candidates, headroom of budgets and credits, rate limits. Pure."""
