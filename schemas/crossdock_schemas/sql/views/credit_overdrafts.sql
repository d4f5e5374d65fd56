-- Must be empty: a hold is made only if credits cover it, and no call spends more than its hold. Refunds and write-offs may
-- leave less than nothing; they are not entries that use credits.
CREATE OR REPLACE VIEW crossdock.credit_overdrafts
(
    account String COMMENT 'organization of the credits',
    number UInt64 COMMENT 'position in the journal of the entry that used more than the credits',
    kind String COMMENT 'kind of the entry: hold, capture or correction',
    credits_usd Decimal(38, 12) COMMENT 'credits at that moment, and what was spent before they were required',
    used_usd Decimal(38, 12) COMMENT 'spent and held, this entry included, without calls with BYOK keys'
)
AS
SELECT
    used.account AS account, used.number AS number, used.kind AS kind,
    used.credits_usd + assumeNotNull(prepaid.from_usd) AS credits_usd, used.used_usd AS used_usd
FROM
(
    SELECT
        account, number, kind, change, more_usd,
        sum(came_usd) OVER (PARTITION BY account ORDER BY number) AS credits_usd,
        sum(more_usd) OVER (PARTITION BY account ORDER BY number) AS used_usd
    FROM
    (
        SELECT
            account, number, any(kind) AS kind, any(change) AS change,
            sumIf(amount_usd, ledger = 'credits') AS came_usd,
            sumIf(amount_usd, ledger != 'credits' AND NOT is_byok) AS more_usd
        FROM crossdock.journal FINAL
        WHERE ledger IN ('credits', 'spend', 'held')
        GROUP BY account, number
    )
) AS used
ASOF INNER JOIN
(
    SELECT
        account, number AS from_change,
        toDecimal128OrNull(JSONExtractString(after['prepaid_from_usd']), 12) AS from_usd
    FROM crossdock.control_log FINAL
    WHERE action = 'set_prepayment' AND refusal = '' AND mapContains(after, 'prepaid_from_usd')
) AS prepaid
    ON used.account = prepaid.account AND used.change >= prepaid.from_change
WHERE prepaid.from_usd IS NOT NULL AND used.more_usd > 0
    AND used.used_usd > used.credits_usd + assumeNotNull(prepaid.from_usd)
COMMENT 'One row per entry that used more than the prepaid credits';
