-- Is the log whole? Numbers begin at 1, so a lost beginning is missing too; changes newer than the last row are not known.
CREATE OR REPLACE VIEW crossdock.control_gaps AS
SELECT
    account,
    min(number) AS first_number, max(number) AS last_number, uniqExact(number) AS changes,
    max(number) - uniqExact(number) AS missing
FROM crossdock.control_log FINAL
GROUP BY account;
