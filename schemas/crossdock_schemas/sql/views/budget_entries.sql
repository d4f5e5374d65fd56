-- Every entry of the journal that changes what is spent or held, with each budget that binds it.
CREATE OR REPLACE VIEW crossdock.budget_entries
(
    account String COMMENT 'organization whose journal it is',
    number UInt64 COMMENT 'position of the entry in the journal',
    scope String COMMENT 'id of the organization, project or key that the budget binds, or the scope of an end user or a tag',
    window String COMMENT 'total, daily, weekly or monthly',
    window_from Date COMMENT 'first day of the window that the entry counts in; 1970-01-01 for total',
    limit_usd Decimal(38, 12) COMMENT 'limit of the budget at that moment',
    used_usd Decimal(38, 12) COMMENT 'spent and held in the window as the budget counts it, this entry included',
    overshoot_usd Decimal(38, 12) COMMENT 'USD by which a fluid budget may be exceeded',
    kind String COMMENT 'kind of the entry',
    is_hold Bool COMMENT 'whether it is a hold, which needs headroom',
    more_usd Decimal(38, 12) COMMENT 'change of used_usd by this entry: above 0 for a hold, or for a call that cost more than its hold gave up'
)
AS
SELECT
    used.account AS account, used.number AS number, used.scope AS scope, used.window AS window,
    used.window_from AS window_from, budget.limit_usd AS limit_usd,
    if(budget.include_byok, used.used_usd, used.without_byok_usd) AS used_usd, budget.overshoot_usd AS overshoot_usd,
    used.entry_kind AS kind, used.is_hold AS is_hold, if(budget.include_byok, used.all_usd, used.without_usd) AS more_usd
FROM
(
    SELECT
        account, scope, window, window_from, number, change, entry_kind, is_hold, all_usd, without_usd,
        sum(all_usd) OVER (PARTITION BY account, scope, window, window_from ORDER BY number) AS used_usd,
        sum(without_usd) OVER (PARTITION BY account, scope, window, window_from ORDER BY number) AS without_byok_usd
    FROM
    (
        SELECT
            account, scope, window,
            multiIf(
                window = 'daily', day, window = 'weekly', toMonday(day), window = 'monthly', toStartOfMonth(day),
                toDate(0)
            ) AS window_from,
            number, any(change) AS change, any(kind) AS entry_kind, max(kind = 'hold' AND ledger = 'held') AS is_hold,
            sum(amount_usd) AS all_usd, sumIf(amount_usd, NOT is_byok) AS without_usd
        FROM
        (
            SELECT
                account, number, kind, change, ledger, day, is_byok, amount_usd,
                arrayJoin(arrayConcat(CAST([account, project, key_id], 'Array(String)'), marks)) AS scope
            FROM crossdock.journal FINAL
            WHERE ledger IN ('spend', 'held')
        ) AS postings
        INNER JOIN (SELECT DISTINCT account, scope, window FROM crossdock.budget_history) AS budgets
            USING (account, scope)
        GROUP BY account, scope, window, window_from, number
    )
) AS used
ASOF INNER JOIN crossdock.budget_history AS budget
    ON used.account = budget.account AND used.scope = budget.scope AND used.window = budget.window
    AND used.change >= budget.from_change
WHERE budget.to_change IS NULL OR used.change < budget.to_change
COMMENT 'One row per entry and budget that binds it: how much of the budget was used then';
