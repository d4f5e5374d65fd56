-- A change in control_log contains only the fields that it changed, so a change without a limit leaves the limit. A change
-- of a budget that counts BYOK keys, or is fluid, contains all fields.
CREATE OR REPLACE VIEW crossdock.budget_history
(
    account String COMMENT 'organization whose budget it is',
    scope String COMMENT 'id of the organization, project or key that it binds',
    window String COMMENT 'total, daily, weekly or monthly',
    limit_usd Decimal(38, 12) COMMENT 'USD that may be spent and held in each window',
    from_change UInt64 COMMENT 'number of the change in control_log that set it',
    to_change Nullable(UInt64) COMMENT 'number of the change that set another limit or ended it; null: it is in force',
    include_byok Bool COMMENT 'whether calls with BYOK keys count, too',
    overshoot_usd Decimal(38, 12) COMMENT 'USD by which it may be exceeded at most; above 0 it is fluid: the expected cost of calls is held against the limit'
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
