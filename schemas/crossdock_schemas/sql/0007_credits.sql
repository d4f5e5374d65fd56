-- What organizations paid or were given in advance, and what is left of it.
ALTER TABLE crossdock.journal
    COMMENT COLUMN kind 'hold: calls may begin, and what they can cost at most is set aside; capture: calls cost money, which their holds give up; correction: what a call cost became known later; release: no more calls under these holds; expiry: nobody told of the end of these holds; top_up: credits were paid for; grant: credits were given; adjustment: credits were corrected; refund: credits were paid back',
    COMMENT COLUMN executions 'calls behind the entry, of a hold, a release or an expiry lines, of credits none; the same in each of its postings',
    COMMENT COLUMN ledger 'spend: what a key spent; provider: what is owed to a provider, below 0; held: what is set aside for a key''s calls; available: the other side of held, below 0; credits: what the organization paid or was given in advance; fee: what the operator charged for it; payment: what came in for credits and fee, below 0; granted: what the operator gave, below 0',
    COMMENT COLUMN project 'project of the key; empty where it is the organization''s: credits, fee, payment, granted',
    COMMENT COLUMN key_id 'API key that asked; empty where it is the organization''s',
    COMMENT COLUMN provider 'provider that was called; empty for all but spend and provider';

ALTER TABLE crossdock.control_log
    COMMENT COLUMN target 'id of the organization, project, key, policy, budget or credit';

CREATE OR REPLACE VIEW crossdock.credit_entries
(
    account String COMMENT 'organization whose credits they are',
    number UInt64 COMMENT 'the entry''s position in the account''s journal',
    at DateTime64(3, 'UTC') COMMENT 'when they were booked',
    kind String COMMENT 'top_up: paid for; grant: given; adjustment: a correction; refund: paid back',
    credits_usd Decimal(38, 12) COMMENT 'credits that came; below 0: that went',
    fee_usd Decimal(38, 12) COMMENT 'what the operator charged on top',
    paid_usd Decimal(38, 12) COMMENT 'what came in from outside for credits and fee; below 0: what went back',
    granted_usd Decimal(38, 12) COMMENT 'what the operator gave, or, below 0, took away'
)
AS
SELECT
    account, number, any(at) AS at, any(kind) AS kind,
    sumIf(amount_usd, ledger = 'credits') AS credits_usd,
    sumIf(amount_usd, ledger = 'fee') AS fee_usd,
    -sumIf(amount_usd, ledger = 'payment') AS paid_usd,
    -sumIf(amount_usd, ledger = 'granted') AS granted_usd
FROM crossdock.journal FINAL
WHERE ledger IN ('credits', 'fee', 'payment', 'granted')
GROUP BY account, number
COMMENT 'One row per entry of credits; credits and fee are what was paid and granted';

-- What was spent before credits were needed counts for none: the log says since when they are. A change that says
-- nothing of it left it as it was.
CREATE OR REPLACE VIEW crossdock.credit_balance
(
    account String COMMENT 'organization',
    credits_usd Decimal(38, 12) COMMENT 'all credits that came, less those that went',
    spent_usd Decimal(38, 12) COMMENT 'spent since it needs credits; all that it ever spent if it needs none',
    balance_usd Nullable(Decimal(38, 12)) COMMENT 'credits that are not spent, those held for calls among them; none: it needs no credits'
)
AS
SELECT
    account, sum(came_usd) AS credits_usd,
    sum(booked_usd) - ifNull(max(begun_usd), 0) AS spent_usd,
    sum(came_usd) + max(begun_usd) - sum(booked_usd) AS balance_usd
FROM
(
    SELECT
        account,
        sumIf(amount_usd, ledger = 'credits') AS came_usd, sumIf(amount_usd, ledger = 'spend') AS booked_usd,
        CAST(NULL, 'Nullable(Decimal(38, 12))') AS begun_usd
    FROM crossdock.journal FINAL
    WHERE ledger IN ('credits', 'spend')
    GROUP BY account
    UNION ALL
    SELECT
        account, toDecimal128(0, 12) AS came_usd, toDecimal128(0, 12) AS booked_usd,
        toDecimal128OrNull(JSONExtractString(argMax(after['prepaid_from_usd'], number)), 12) AS begun_usd
    FROM crossdock.control_log FINAL
    WHERE action = 'set_prepayment' AND refusal = '' AND mapContains(after, 'prepaid_from_usd')
    GROUP BY account
)
GROUP BY account
COMMENT 'One row per organization that spent something, has credits or ever needed some';
