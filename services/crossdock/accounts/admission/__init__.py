"""What a parcel may do: permitted candidates, headroom of budgets and credits, limits a minute. Pure."""
