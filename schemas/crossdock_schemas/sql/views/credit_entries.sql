CREATE OR REPLACE VIEW crossdock.credit_entries
(
    account String COMMENT 'organization whose credits they are',
    number UInt64 COMMENT 'the entry''s position in the account''s journal',
    at DateTime64(3, 'UTC') COMMENT 'when they were booked',
    kind String COMMENT 'top_up: paid for; grant: given; adjustment: a correction; refund: paid back; lapse: not used in time',
    credits_usd Decimal(38, 12) COMMENT 'credits that came; below 0: that went',
    fee_usd Decimal(38, 12) COMMENT 'what the operator charged on top',
    paid_usd Decimal(38, 12) COMMENT 'what came in from outside for credits and fee; below 0: what went back',
    granted_usd Decimal(38, 12) COMMENT 'what the operator gave, or, below 0, took away',
    lapsed_usd Decimal(38, 12) COMMENT 'what was not used by its time, and is written off',
    expires_at Nullable(DateTime64(3, 'UTC')) COMMENT 'when what is left of them is written off, or, of a lapse, was to be used by; null: never'
)
AS
SELECT
    account, number, any(posted_at) AS at, any(kind) AS kind,
    sumIf(amount_usd, ledger = 'credits') AS credits_usd,
    sumIf(amount_usd, ledger = 'fee') AS fee_usd,
    -sumIf(amount_usd, ledger = 'payment') AS paid_usd,
    -sumIf(amount_usd, ledger = 'granted') AS granted_usd,
    sumIf(amount_usd, ledger = 'lapsed') AS lapsed_usd,
    max(end_at) AS expires_at
FROM
(
    SELECT account, number, at AS posted_at, kind, ledger, amount_usd, expires_at AS end_at
    FROM crossdock.journal FINAL
    WHERE ledger IN ('credits', 'fee', 'payment', 'granted', 'lapsed')
)
GROUP BY account, number
COMMENT 'One row per entry of credits; credits, fee and what lapsed are what was paid and granted';
