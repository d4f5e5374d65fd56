CREATE OR REPLACE VIEW crossdock.used_by_scope
(
    account String COMMENT 'organization of the end user or tag',
    scope String COMMENT 'end user (user:alice) or tag (tag:team=search) that has, or had, a budget',
    spent_usd Decimal(38, 12) COMMENT 'USD spent since its first budget was set',
    held_usd Decimal(38, 12) COMMENT 'USD held for calls that run or may begin'
)
AS
SELECT
    account, mark AS scope, sumIf(amount_usd, ledger = 'spend') AS spent_usd, sumIf(amount_usd, ledger = 'held') AS held_usd
FROM (SELECT account, ledger, amount_usd, arrayJoin(marks) AS mark FROM crossdock.journal FINAL) AS postings
GROUP BY account, scope
COMMENT 'One row per end user and tag with a budget, now or earlier';
