CREATE OR REPLACE VIEW crossdock.credit_expiry
(
    account String COMMENT 'organization whose credits they are',
    expires_at DateTime64(3, 'UTC') COMMENT 'expiry, when the unspent rest is written off',
    credits_usd Decimal(38, 12) COMMENT 'credits with this expiry',
    lapsed_usd Decimal(38, 12) COMMENT 'credits written off; the rest was spent, paid back or corrected, or is still available',
    lapses UInt64 COMMENT 'write-offs: 2 at most, the second one of credits that were held for calls at the expiry',
    first_lapse_at Nullable(DateTime64(3, 'UTC')) COMMENT 'when the first write-off was booked; null: not yet'
)
AS
SELECT
    account, assumeNotNull(end_at) AS expires_at,
    sumIf(amount_usd, kind != 'lapse') AS credits_usd,
    -sumIf(amount_usd, kind = 'lapse') AS lapsed_usd,
    countIf(kind = 'lapse') AS lapses,
    minOrNullIf(posted_at, kind = 'lapse') AS first_lapse_at
FROM
(
    SELECT account, at AS posted_at, kind, amount_usd, expires_at AS end_at
    FROM crossdock.journal FINAL
    WHERE ledger = 'credits' AND expires_at IS NOT NULL
)
GROUP BY account, end_at
COMMENT 'One row per organization and expiry of its credits';
