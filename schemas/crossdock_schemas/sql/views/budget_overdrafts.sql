-- Must be empty: a hold is made only if every budget that binds it has headroom for it.
CREATE OR REPLACE VIEW crossdock.budget_overdrafts
(
    account String COMMENT 'organization whose journal it is',
    number UInt64 COMMENT 'position in the journal of the entry that exceeded the budget',
    scope String COMMENT 'id of the organization, project or key that the budget binds, or the scope of an end user or a tag',
    window String COMMENT 'total, daily, weekly or monthly',
    limit_usd Decimal(38, 12) COMMENT 'amount that may be used at that moment: the limit, and the overshoot of a fluid budget',
    used_usd Decimal(38, 12) COMMENT 'spent and held in the window, this hold included'
)
AS
SELECT
    used.account AS account, used.number AS number, used.scope AS scope, used.window AS window,
    used.limit_usd + used.overshoot_usd AS limit_usd, used.used_usd AS used_usd
FROM crossdock.budget_use AS used
WHERE used.used_usd > used.limit_usd + used.overshoot_usd
COMMENT 'One row per hold and budget that it overdrew';
