-- What is set aside for calls that may begin, why a batch waits, and whether the budgets held.
ALTER TABLE crossdock.journal
    ADD COLUMN IF NOT EXISTS change UInt64 COMMENT 'number of the account''s last change in control_log before the entry: by it the budgets of the moment are known' AFTER kind,
    ADD COLUMN IF NOT EXISTS day Date DEFAULT toDate(at) COMMENT 'UTC day in whose windows it counts: the hold''s; that of the booking where there is no hold' AFTER provider,
    COMMENT COLUMN kind 'hold: calls may begin, and what they can cost at most is set aside; capture: calls cost money, which their holds give up; correction: what a call cost became known later; release: no more calls under these holds; expiry: nobody told of the end of these holds',
    COMMENT COLUMN executions 'calls behind the entry, of a hold, a release or an expiry lines; the same in each of its postings',
    COMMENT COLUMN ledger 'spend: what a key spent; provider: what is owed to a provider, below 0; held: what is set aside for a key''s calls; available: the other side of held, below 0',
    COMMENT COLUMN provider 'provider that was called; empty for held and available';

ALTER TABLE crossdock.control_log
    COMMENT COLUMN target 'id of the organization, project, key, policy or budget';

ALTER TABLE crossdock.batches
    ADD COLUMN IF NOT EXISTS waiting_lines UInt64 COMMENT 'lines that came back, for a budget leaves nothing for them, and wait to be tried again' AFTER cost_usd,
    ADD COLUMN IF NOT EXISTS waiting_code LowCardinality(String) COMMENT 'why lines wait, such as budget_exceeded; empty: none do' AFTER waiting_lines,
    ADD COLUMN IF NOT EXISTS waiting_reason String COMMENT 'the same in words, with the budget and the amounts' AFTER waiting_code;

CREATE OR REPLACE VIEW crossdock.held_by_key AS
SELECT
    account, project, key_id,
    sum(amount_usd) AS held_usd
FROM crossdock.journal FINAL
WHERE ledger = 'held'
GROUP BY account, project, key_id;

-- A change says of a budget's fields only those that it changed, so what says nothing of the limit leaves it as it was.
CREATE OR REPLACE VIEW crossdock.budget_history
(
    account String COMMENT 'organization whose budget it is',
    scope String COMMENT 'id of the organization, project or key that it binds',
    window String COMMENT 'total, daily, weekly or monthly',
    limit_usd Decimal(38, 12) COMMENT 'USD that may be spent and held in each window',
    from_change UInt64 COMMENT 'number of the change in control_log that set it',
    to_change Nullable(UInt64) COMMENT 'number of the change that set another limit or ended it; none: it is in force'
)
AS
SELECT account, scope, window, assumeNotNull(limit_or_end) AS limit_usd, number AS from_change, next AS to_change
FROM
(
    SELECT
        account, scope, budget.1 AS window, budget.2 AS limit_or_end, number,
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
            arrayConcat(
                arrayMap(one -> (one.1, toNullable(toDecimal128(one.2, 12))), limits),
                arrayMap(one -> (one, NULL), ended)
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
    used_usd Decimal(38, 12) COMMENT 'spent and held in the window, this hold included'
)
AS
SELECT
    used.account AS account, used.number AS number, used.scope AS scope, used.window AS window,
    used.window_from AS window_from, budget.limit_usd AS limit_usd, used.used_usd AS used_usd
FROM
(
    SELECT
        account, scope, window, window_from, number, change, is_hold,
        sum(amount_usd) OVER (PARTITION BY account, scope, window, window_from ORDER BY number) AS used_usd
    FROM
    (
        SELECT
            account, scope, window,
            multiIf(
                window = 'daily', day, window = 'weekly', toMonday(day), window = 'monthly', toStartOfMonth(day),
                toDate(0)
            ) AS window_from,
            number, any(change) AS change, max(kind = 'hold' AND ledger = 'held') AS is_hold,
            sum(amount_usd) AS amount_usd
        FROM
        (
            SELECT account, number, kind, change, ledger, day, amount_usd, arrayJoin([account, project, key_id]) AS scope
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
    limit_usd Decimal(38, 12) COMMENT 'limit of the budget at that moment',
    used_usd Decimal(38, 12) COMMENT 'spent and held in the window, this hold included'
)
AS
SELECT account, number, scope, window, limit_usd, used_usd
FROM crossdock.budget_use
WHERE used_usd > limit_usd
COMMENT 'One row per hold and budget that it overdrew';
