-- Credits that expire: what is left of them at their time is written off, against `lapsed`.
ALTER TABLE crossdock.journal
    ADD COLUMN IF NOT EXISTS expires_at Nullable(DateTime64(3, 'UTC')) COMMENT 'of credits that expire, and of what is written off of them: when; null: never' AFTER amount_usd;

ALTER TABLE crossdock.journal
    COMMENT COLUMN kind 'hold: calls may begin, and what they can cost at most is set aside; capture: calls cost money, which their holds give up; correction: what a call cost became known later; release: no more calls under these holds; expiry: nobody told of the end of these holds; top_up: credits were paid for; grant: credits were given; adjustment: credits were corrected; refund: credits were paid back; lapse: credits were not used by their time, and are written off',
    COMMENT COLUMN ledger 'spend: what a key spent; provider: what is owed to a provider, below 0; held: what is set aside for a key''s calls; available: the other side of held, below 0; credits: what the organization paid or was given in advance; fee: what the operator charged for it; payment: what came in for credits and fee, below 0; granted: what the operator gave, below 0; lapsed: what was written off',
    COMMENT COLUMN project 'project of the key; empty where it is the organization''s: credits, fee, payment, granted, lapsed';

ALTER TABLE crossdock.alerts
    ADD COLUMN IF NOT EXISTS amount_usd Nullable(Decimal(38, 12)) COMMENT 'of credits that expire: how much; null: the alert is of something else' AFTER until;

ALTER TABLE crossdock.alerts
    COMMENT COLUMN kind 'budget_nearly_used (80 %), budget_used, credits_low, credits_used, credits_expiring (some days before) or credits_expired',
    COMMENT COLUMN until 'when the budget''s window ends, or the credits expire; null: never';

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

-- What an organization that needs credits had left after each write-off. Since when it needs them, and what it had spent
-- by then, says the log; an entry names the last change before it.
CREATE OR REPLACE VIEW crossdock.credit_lapses
(
    account String COMMENT 'organization whose journal it is',
    number UInt64 COMMENT 'position in the journal of an entry of the kind lapse',
    lapsed_usd Decimal(38, 12) COMMENT 'what it wrote off',
    left_usd Nullable(Decimal(38, 12)) COMMENT 'credits that were neither spent nor held once it was booked; null: it needed none then'
)
AS
SELECT
    sums.account AS account, sums.number AS number, sums.lapsed_usd AS lapsed_usd,
    sums.came_usd + toDecimal128OrNull(begun.begun, 12) - sums.used_usd AS left_usd
FROM
(
    SELECT
        account, number, change, lapsed_usd,
        sum(credits_usd) OVER (PARTITION BY account ORDER BY number) AS came_usd,
        sum(spent_usd) OVER (PARTITION BY account ORDER BY number) AS used_usd
    FROM
    (
        SELECT
            account, number, any(change) AS change,
            sumIf(amount_usd, ledger = 'lapsed') AS lapsed_usd,
            sumIf(amount_usd, ledger = 'credits') AS credits_usd,
            sumIf(amount_usd, ledger = 'held' OR (ledger = 'spend' AND NOT is_byok)) AS spent_usd
        FROM crossdock.journal FINAL
        WHERE ledger IN ('credits', 'held', 'lapsed', 'spend')
        GROUP BY account, number
    )
) AS sums
ASOF LEFT JOIN
(
    SELECT account, number, JSONExtractString(after['prepaid_from_usd']) AS begun
    FROM crossdock.control_log FINAL
    WHERE action = 'set_prepayment' AND refusal = '' AND mapContains(after, 'prepaid_from_usd')
) AS begun
    ON sums.account = begun.account AND sums.change >= begun.number
WHERE sums.lapsed_usd != 0
COMMENT 'One row per write-off of credits that expired';

-- Must be empty: nothing is written off before its time, nothing twice, and nothing that was spent or held.
CREATE OR REPLACE VIEW crossdock.credit_lapses_wrong
(
    account String COMMENT 'organization whose credits they are',
    reason String COMMENT 'early, too much or overdrawn',
    amount_usd Decimal(38, 12) COMMENT 'what was written off'
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
COMMENT 'One row per write-off that should not be';
