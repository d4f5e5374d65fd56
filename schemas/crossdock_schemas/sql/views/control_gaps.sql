-- Shows whether the log is complete. Numbers begin at 1, so a lost beginning counts as missing; changes after the last row
-- are unknown.
CREATE OR REPLACE VIEW crossdock.control_gaps AS
SELECT
    account,
    min(number) AS first_number, max(number) AS last_number, uniqExact(number) AS changes,
    max(number) - uniqExact(number) AS missing
FROM crossdock.control_log FINAL
GROUP BY account;
