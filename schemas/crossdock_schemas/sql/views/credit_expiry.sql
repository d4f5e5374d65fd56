CREATE OR REPLACE VIEW crossdock.credit_expiry
(
    account String COMMENT 'organization whose credits they are',
    expires_at DateTime64(3, 'UTC') COMMENT 'when what is left of them is written off',
    credits_usd Decimal(38, 12) COMMENT 'credits that came with this time',
    lapsed_usd Decimal(38, 12) COMMENT 'what was written off of them; the rest was spent, paid back or corrected, or is there still',
    lapses UInt64 COMMENT 'entries that wrote it off: 2 at most, the second one of what was held for calls when the time came',
    first_lapse_at Nullable(DateTime64(3, 'UTC')) COMMENT 'when the first of them was booked; null: none was yet'
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
COMMENT 'One row per organization and time at which credits of it expire';
