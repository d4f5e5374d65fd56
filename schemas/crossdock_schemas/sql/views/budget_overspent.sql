-- Must be empty: no call spends more than is held for it. Spending within the headroom of the budget is not listed.
CREATE OR REPLACE VIEW crossdock.budget_overspent
(
    account String COMMENT 'organization whose journal it is',
    number UInt64 COMMENT 'position in the journal of the entry that exceeded the budget',
    kind String COMMENT 'kind of the entry: capture or correction',
    scope String COMMENT 'id of the organization, project or key that the budget binds, or the scope of an end user or a tag',
    window String COMMENT 'total, daily, weekly or monthly',
    limit_usd Decimal(38, 12) COMMENT 'amount that may be used at that moment: the limit, and the overshoot of a fluid budget',
    used_usd Decimal(38, 12) COMMENT 'spent and held in the window, this entry included',
    more_usd Decimal(38, 12) COMMENT 'USD by which the entry exceeded its holds'
)
AS
SELECT
    used.account AS account, used.number AS number, used.kind AS kind, used.scope AS scope, used.window AS window,
    used.limit_usd + used.overshoot_usd AS limit_usd, used.used_usd AS used_usd, used.more_usd AS more_usd
FROM crossdock.budget_entries AS used
WHERE NOT used.is_hold AND used.more_usd > 0 AND used.used_usd > used.limit_usd + used.overshoot_usd
COMMENT 'One row per entry that spent more than its holds, and budget that it exceeded';
