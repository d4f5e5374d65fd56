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
