-- Spending from before credits were required does not count: control_log contains since when they are. A change without
-- that field leaves it.
CREATE OR REPLACE VIEW crossdock.credit_balance
(
    account String COMMENT 'organization of the credits',
    credits_usd Decimal(38, 12) COMMENT 'all credits, less deductions',
    spent_usd Decimal(38, 12) COMMENT 'spent since credits are required; all spending if they are not required',
    balance_usd Nullable(Decimal(38, 12)) COMMENT 'unspent credits, including those held for calls; null: credits are not required'
)
AS
SELECT
    account, sum(came_usd) AS credits_usd,
    sum(booked_usd) - ifNull(max(begun_usd), 0) AS spent_usd,
    sum(came_usd) + max(begun_usd) - sum(booked_usd) AS balance_usd
FROM
(
    SELECT
        account,
        sumIf(amount_usd, ledger = 'credits') AS came_usd, sumIf(amount_usd, ledger = 'spend') AS booked_usd,
        CAST(NULL, 'Nullable(Decimal(38, 12))') AS begun_usd
    FROM crossdock.journal FINAL
    WHERE ledger IN ('credits', 'spend')
    GROUP BY account
    UNION ALL
    SELECT
        account, toDecimal128(0, 12) AS came_usd, toDecimal128(0, 12) AS booked_usd,
        toDecimal128OrNull(JSONExtractString(argMax(after['prepaid_from_usd'], number)), 12) AS begun_usd
    FROM crossdock.control_log FINAL
    WHERE action = 'set_prepayment' AND refusal = '' AND mapContains(after, 'prepaid_from_usd')
    GROUP BY account
)
GROUP BY account
COMMENT 'One row per organization that spent something, has credits or ever required them';
