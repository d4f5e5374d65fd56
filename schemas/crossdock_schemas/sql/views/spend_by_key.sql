CREATE OR REPLACE VIEW crossdock.spend_by_key AS
SELECT
    account, project, key_id,
    sum(amount_usd) AS spent_usd
FROM crossdock.journal FINAL
WHERE ledger = 'spend'
GROUP BY account, project, key_id;
