"""The audit: journal, calls and balances agree, and limits held. The proof of guarantee 3."""
