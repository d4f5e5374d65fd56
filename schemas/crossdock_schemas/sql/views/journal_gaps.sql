-- Shows whether the journal is complete. Numbers begin at 1, so a lost beginning counts as missing; entries after the last
-- row are unknown.
CREATE OR REPLACE VIEW crossdock.journal_gaps AS
SELECT
    account,
    min(number) AS first_number, max(number) AS last_number, uniqExact(number) AS entries,
    max(number) - uniqExact(number) AS missing
FROM crossdock.journal FINAL
GROUP BY account;
