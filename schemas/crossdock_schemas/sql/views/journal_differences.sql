-- Must be empty at rest: the journal and the calls arrive over different topics, seconds apart.
CREATE OR REPLACE VIEW crossdock.journal_differences AS
SELECT
    account, project, key_id, provider,
    sum(booked_usd) AS spent_usd, sum(call_usd) AS cost_usd
FROM
(
    SELECT account, project, key_id, provider, amount_usd AS booked_usd, toDecimal128(0, 12) AS call_usd
    FROM crossdock.journal FINAL
    WHERE ledger = 'spend'
    UNION ALL
    SELECT account, project, key_id, provider, toDecimal128(0, 12) AS booked_usd, cost_usd AS call_usd
    FROM crossdock.attempts FINAL
)
GROUP BY account, project, key_id, provider
HAVING spent_usd != cost_usd;
