CREATE OR REPLACE VIEW crossdock.held_by_key AS
SELECT
    account, project, key_id,
    sum(amount_usd) AS held_usd
FROM crossdock.journal FINAL
WHERE ledger = 'held'
GROUP BY account, project, key_id;
