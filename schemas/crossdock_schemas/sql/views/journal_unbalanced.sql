-- Must be empty: in double entry, the postings of an entry add up to 0.
CREATE OR REPLACE VIEW crossdock.journal_unbalanced AS
SELECT
    account, number,
    min(at) AS booked_at, count() AS postings, sum(amount_usd) AS off_by_usd
FROM crossdock.journal FINAL
GROUP BY account, number
HAVING off_by_usd != 0;
