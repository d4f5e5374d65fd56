-- Fluid budgets: what calls are likely to cost is held against the limit, what they can cost at most against more.
-- A change says of a budget's fields only those that it changed, so what says nothing of the limit leaves it as it was;
-- of a budget that counts own keys, or is fluid, it says all.
CREATE OR REPLACE VIEW crossdock.budget_history
(
    account String COMMENT 'organization whose budget it is',
    scope String COMMENT 'id of the organization, project or key that it binds',
    window String COMMENT 'total, daily, weekly or monthly',
    limit_usd Decimal(38, 12) COMMENT 'USD that may be spent and held in each window',
    from_change UInt64 COMMENT 'number of the change in control_log that set it',
    to_change Nullable(UInt64) COMMENT 'number of the change that set another limit or ended it; none: it is in force',
    include_byok Bool COMMENT 'whether what own provider keys pay for counts too',
    overshoot_usd Decimal(38, 12) COMMENT 'USD by which it may be exceeded at most; above 0 it is fluid: what calls are likely to cost is held against the limit'
)
AS
SELECT
    account, scope, window, assumeNotNull(limit_or_end) AS limit_usd, number AS from_change, next AS to_change,
    include_byok, overshoot_usd
FROM
(
    SELECT
        account, scope, budget.1 AS window, budget.2 AS limit_or_end, budget.3 AS include_byok,
        budget.4 AS overshoot_usd, number,
        leadInFrame(toNullable(number)) OVER
        (
            PARTITION BY account, scope, window ORDER BY number
            ROWS BETWEEN UNBOUNDED PRECEDING AND UNBOUNDED FOLLOWING
        ) AS next
    FROM
    (
        SELECT
            account, number,
            extract(target, '^budget_([a-z]+)_') AS named,
            multiIf(
                action = 'rotate_key', JSONExtractString(after['successor']),
                named = '', target,
                substring(target, length('budget_') + length(named) + 2)
            ) AS scope,
            multiIf(
                action = 'rotate_key', JSONExtractKeysAndValues(after['budgets'], 'String'),
                NOT mapContains(after, 'limit_usd'), [],
                [(if(named = '', JSONExtractString(after['window']), named), JSONExtractString(after['limit_usd']))]
            ) AS limits,
            multiIf(
                action = 'delete_key', ['total', 'daily', 'weekly', 'monthly'],
                action = 'clear_budget' AND named != '', [named],
                JSONExtract(after['ended'], 'Array(String)')
            ) AS ended,
            JSONExtract(after['byok'], 'Array(String)') AS byok,
            JSONExtractBool(after['include_byok']) AS is_byok,
            if(
                action = 'rotate_key', JSONExtract(after['overshoots'], 'Map(String, String)'),
                map(named, JSONExtractString(after['overshoot_usd']))
            ) AS overshoots,
            arrayConcat(
                arrayMap(
                    one ->
                    (
                        one.1, toNullable(toDecimal128(one.2, 12)), is_byok OR has(byok, one.1),
                        toDecimal128OrZero(overshoots[one.1], 12)
                    ),
                    limits
                ),
                arrayMap(one -> (one, NULL, false, toDecimal128(0, 12)), ended)
            ) AS budgets
        FROM crossdock.control_log FINAL
        WHERE refusal = '' AND action IN ('create_key', 'rotate_key', 'delete_key', 'set_budget', 'clear_budget')
    )
    ARRAY JOIN budgets AS budget
)
WHERE limit_or_end IS NOT NULL
COMMENT 'One row per limit of a budget and the time it was in force, from control_log';

CREATE OR REPLACE VIEW crossdock.budget_use
(
    account String COMMENT 'organization whose journal it is',
    number UInt64 COMMENT 'position in the journal of an entry of the kind hold',
    scope String COMMENT 'id of the organization, project or key that the budget binds',
    window String COMMENT 'total, daily, weekly or monthly',
    window_from Date COMMENT 'first day of the window that the hold counts in; 1970-01-01 for total',
    limit_usd Decimal(38, 12) COMMENT 'limit of the budget at that moment',
    used_usd Decimal(38, 12) COMMENT 'spent and held in the window as far as the budget counts it, this hold included',
    overshoot_usd Decimal(38, 12) COMMENT 'by how much a fluid budget may be exceeded'
)
AS
SELECT
    used.account AS account, used.number AS number, used.scope AS scope, used.window AS window,
    used.window_from AS window_from, budget.limit_usd AS limit_usd,
    if(budget.include_byok, used.used_usd, used.without_byok_usd) AS used_usd, budget.overshoot_usd AS overshoot_usd
FROM
(
    SELECT
        account, scope, window, window_from, number, change, is_hold,
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
            number, any(change) AS change, max(kind = 'hold' AND ledger = 'held') AS is_hold,
            sum(amount_usd) AS all_usd, sumIf(amount_usd, NOT is_byok) AS without_usd
        FROM
        (
            SELECT
                account, number, kind, change, ledger, day, is_byok, amount_usd,
                arrayJoin([account, project, key_id]) AS scope
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
WHERE used.is_hold AND (budget.to_change IS NULL OR used.change < budget.to_change)
COMMENT 'One row per hold and budget that binds it: how much of the budget was used once it was made';

-- Must be empty: a hold is made only if every budget that binds it has room for it.
CREATE OR REPLACE VIEW crossdock.budget_overdrafts
(
    account String COMMENT 'organization whose journal it is',
    number UInt64 COMMENT 'position in the journal of the entry that should not be',
    scope String COMMENT 'id of the organization, project or key that the budget binds',
    window String COMMENT 'total, daily, weekly or monthly',
    limit_usd Decimal(38, 12) COMMENT 'what may be used at that moment: the limit, and what a fluid budget may be exceeded by',
    used_usd Decimal(38, 12) COMMENT 'spent and held in the window, this hold included'
)
AS
SELECT
    used.account AS account, used.number AS number, used.scope AS scope, used.window AS window,
    used.limit_usd + used.overshoot_usd AS limit_usd, used.used_usd AS used_usd
FROM crossdock.budget_use AS used
WHERE used.used_usd > used.limit_usd + used.overshoot_usd
COMMENT 'One row per hold and budget that it overdrew';
