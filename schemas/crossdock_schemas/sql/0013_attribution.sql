-- For whom calls are made, and under which tags.
ALTER TABLE crossdock.attempts
    ADD COLUMN IF NOT EXISTS user String COMMENT 'end user that the request named (user or safety_identifier); empty if none' AFTER credential_id,
    ADD COLUMN IF NOT EXISTS tags Map(LowCardinality(String), String) COMMENT 'the request''s metadata, its key''s and its project''s tags, as they were when it was admitted' AFTER user;

CREATE OR REPLACE VIEW crossdock.usage_by_user AS
SELECT
    account, project, user, model,
    uniqExact(request_id) AS requests, count() AS calls, countIf(outcome != 'ok') AS failed_calls,
    sum(input_tokens) AS input_tokens, sum(cached_tokens) AS cached_tokens, sum(output_tokens) AS output_tokens,
    sum(cost_usd) AS cost_usd
FROM crossdock.attempts FINAL
WHERE user != ''
GROUP BY account, project, user, model;

CREATE OR REPLACE VIEW crossdock.usage_by_tag
(
    account String COMMENT 'organization that pays',
    tag String COMMENT 'name of the tag',
    value String COMMENT 'its value',
    model String COMMENT 'model that was asked for',
    requests UInt64 COMMENT 'requests that had a call',
    calls UInt64 COMMENT 'calls; one with several tags counts under each',
    failed_calls UInt64 COMMENT 'of them those whose outcome is not ok',
    input_tokens UInt64 COMMENT 'all input, cached included',
    cached_tokens UInt64 COMMENT 'input read from a cache',
    output_tokens UInt64 COMMENT 'all output, reasoning included',
    cost_usd Decimal(38, 12) COMMENT 'USD in all'
)
AS
SELECT
    account, pair.1 AS tag, pair.2 AS value, model,
    uniqExact(request_id) AS requests, count() AS calls, countIf(outcome != 'ok') AS failed_calls,
    sum(input_tokens) AS input_tokens, sum(cached_tokens) AS cached_tokens, sum(output_tokens) AS output_tokens,
    sum(cost_usd) AS cost_usd
FROM (SELECT *, arrayJoin(CAST(tags, 'Array(Tuple(String, String))')) AS pair FROM crossdock.attempts FINAL) AS calls_by_tag
GROUP BY account, tag, value, model
COMMENT 'One row per tag, value and model';

-- Budgets of end users and tags: what a posting counts for besides its key.
ALTER TABLE crossdock.journal
    ADD COLUMN IF NOT EXISTS marks Array(String) COMMENT 'end user (user:alice) and tags (tag:team=search) that it counts for besides: those that had a budget when its hold was made' AFTER is_byok;

CREATE OR REPLACE VIEW crossdock.budget_use
(
    account String COMMENT 'organization whose journal it is',
    number UInt64 COMMENT 'position in the journal of an entry of the kind hold',
    scope String COMMENT 'what the budget binds: id of an organization, a project or a key, or the scope of an end user or a tag',
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
WHERE used.is_hold AND (budget.to_change IS NULL OR used.change < budget.to_change)
COMMENT 'One row per hold and budget that binds it: how much of the budget was used once it was made';

CREATE OR REPLACE VIEW crossdock.used_by_scope
(
    account String COMMENT 'organization whose it is',
    scope String COMMENT 'end user (user:alice) or tag (tag:team=search) that has, or had, a budget',
    spent_usd Decimal(38, 12) COMMENT 'USD spent since its first budget was set',
    held_usd Decimal(38, 12) COMMENT 'USD held for calls that run, or may begin'
)
AS
SELECT
    account, mark AS scope, sumIf(amount_usd, ledger = 'spend') AS spent_usd, sumIf(amount_usd, ledger = 'held') AS held_usd
FROM (SELECT account, ledger, amount_usd, arrayJoin(marks) AS mark FROM crossdock.journal FINAL) AS postings
GROUP BY account, scope
COMMENT 'One row per end user and tag that is counted';
