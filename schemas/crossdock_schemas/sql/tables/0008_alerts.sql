-- One row per alert: a budget, or credits, are nearly used up, or used up. Told once for each window, limit and top-up.
CREATE TABLE IF NOT EXISTS crossdock.alerts
(
    account LowCardinality(String) COMMENT 'organization that it concerns',
    alert_id String COMMENT 'identity of the alert',
    at DateTime64(3, 'UTC') COMMENT 'when it was raised',
    kind LowCardinality(String) COMMENT 'budget_nearly_used (80 %), budget_used, credits_low or credits_used',
    scope LowCardinality(String) COMMENT 'id of the organization, project or key whose budget it is, or whose credits',
    window LowCardinality(String) COMMENT 'of a budget: total, daily, weekly or monthly; empty: credits',
    limit_usd Decimal(38, 12) COMMENT 'limit of the budget; of credits: all of them',
    spent_usd Decimal(38, 12) COMMENT 'what was spent of it',
    until Nullable(DateTime64(3, 'UTC')) COMMENT 'when the budget''s window ends; null: never'
)
ENGINE = ReplacingMergeTree
PARTITION BY toYYYYMM(at)
ORDER BY (account, alert_id)
COMMENT 'One row per alert about budgets and credits';
