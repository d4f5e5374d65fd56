-- Must be empty: in double entry, what a key spends is owed to a provider.
CREATE OR REPLACE VIEW crossdock.journal_unbalanced AS
SELECT
    account, number,
    min(at) AS booked_at, count() AS postings, sum(amount_usd) AS off_by_usd
FROM crossdock.journal FINAL
GROUP BY account, number
HAVING off_by_usd != 0;
