CREATE OR REPLACE VIEW crossdock.budget_use
(
    account String COMMENT 'organization whose journal it is',
    number UInt64 COMMENT 'position in the journal of an entry of the kind hold',
    scope String COMMENT 'id of the organization, project or key that the budget binds, or the scope of an end user or a tag',
    window String COMMENT 'total, daily, weekly or monthly',
    window_from Date COMMENT 'first day of the window that the hold counts in; 1970-01-01 for total',
    limit_usd Decimal(38, 12) COMMENT 'limit of the budget at that moment',
    used_usd Decimal(38, 12) COMMENT 'spent and held in the window as the budget counts it, this hold included',
    overshoot_usd Decimal(38, 12) COMMENT 'USD by which a fluid budget may be exceeded'
)
AS
SELECT account, number, scope, window, window_from, limit_usd, used_usd, overshoot_usd
FROM crossdock.budget_entries
WHERE is_hold
COMMENT 'One row per hold and budget that binds it: how much of the budget was used once it was made';
