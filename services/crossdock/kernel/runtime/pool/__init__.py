"""pool: slow side effects out of order, contiguous commit, pause when full, claims across crashes."""
