-- Shows the credits that an organization had left after each write-off. control_log contains since when it requires credits
-- and its spending by then; an entry names the last change before it.
CREATE OR REPLACE VIEW crossdock.credit_lapses
(
    account String COMMENT 'organization whose journal it is',
    number UInt64 COMMENT 'position in the journal of an entry of the kind lapse',
    lapsed_usd Decimal(38, 12) COMMENT 'credits that it wrote off',
    left_usd Nullable(Decimal(38, 12)) COMMENT 'credits neither spent nor held after it; null: credits were not required then'
)
AS
SELECT
    sums.account AS account, sums.number AS number, sums.lapsed_usd AS lapsed_usd,
    sums.came_usd + toDecimal128OrNull(begun.begun, 12) - sums.used_usd AS left_usd
FROM
(
    SELECT
        account, number, change, lapsed_usd,
        sum(credits_usd) OVER (PARTITION BY account ORDER BY number) AS came_usd,
        sum(spent_usd) OVER (PARTITION BY account ORDER BY number) AS used_usd
    FROM
    (
        SELECT
            account, number, any(change) AS change,
            sumIf(amount_usd, ledger = 'lapsed') AS lapsed_usd,
            sumIf(amount_usd, ledger = 'credits') AS credits_usd,
            sumIf(amount_usd, ledger = 'held' OR (ledger = 'spend' AND NOT is_byok)) AS spent_usd
        FROM crossdock.journal FINAL
        WHERE ledger IN ('credits', 'held', 'lapsed', 'spend')
        GROUP BY account, number
    )
) AS sums
ASOF LEFT JOIN
(
    SELECT account, number, JSONExtractString(after['prepaid_from_usd']) AS begun
    FROM crossdock.control_log FINAL
    WHERE action = 'set_prepayment' AND refusal = '' AND mapContains(after, 'prepaid_from_usd')
) AS begun
    ON sums.account = begun.account AND sums.change >= begun.number
WHERE sums.lapsed_usd != 0
COMMENT 'One row per write-off of credits that expired';
