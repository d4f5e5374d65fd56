CREATE OR REPLACE VIEW crossdock.credit_entries
(
    account String COMMENT 'organization whose credits they are',
    number UInt64 COMMENT 'the entry''s position in the account''s journal',
    at DateTime64(3, 'UTC') COMMENT 'when they were booked',
    kind String COMMENT 'top_up: paid; grant: given; adjustment: a correction; refund: paid back; lapse: not used in time',
    credits_usd Decimal(38, 12) COMMENT 'credits added; below 0: deducted',
    fee_usd Decimal(38, 12) COMMENT 'fee of the operator on top',
    paid_usd Decimal(38, 12) COMMENT 'payments for credits and fee; below 0: paid back',
    granted_usd Decimal(38, 12) COMMENT 'credits from the operator; below 0: taken back',
    lapsed_usd Decimal(38, 12) COMMENT 'credits not used in time, and written off',
    expires_at Nullable(DateTime64(3, 'UTC')) COMMENT 'expiry, when the unspent rest is written off; of a lapse: the expiry that passed; null: never'
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
COMMENT 'One row per entry of credits; credits, fee and lapsed credits add up to paid and granted';
