-- Must be empty: credits are not written off before their expiry, not twice, and not if they were spent or held.
CREATE OR REPLACE VIEW crossdock.credit_lapses_wrong
(
    account String COMMENT 'organization whose credits they are',
    reason String COMMENT 'early, too much or overdrawn',
    amount_usd Decimal(38, 12) COMMENT 'credits written off'
)
AS
SELECT account, 'early' AS reason, lapsed_usd AS amount_usd
FROM crossdock.credit_expiry
WHERE first_lapse_at < expires_at
UNION ALL
SELECT account, 'too much' AS reason, lapsed_usd AS amount_usd
FROM crossdock.credit_expiry
WHERE lapsed_usd > credits_usd OR lapses > 2
UNION ALL
SELECT account, 'overdrawn' AS reason, lapsed_usd AS amount_usd
FROM crossdock.credit_lapses
WHERE left_usd < 0
COMMENT 'One row per wrong write-off';
