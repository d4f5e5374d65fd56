-- Tokens that a provider reported beyond the worst case of a call are disputed: they are shown, and not booked.
ALTER TABLE crossdock.attempts
    ADD COLUMN IF NOT EXISTS reported_input_tokens Nullable(UInt64) COMMENT 'input tokens as the provider reported them; null: as booked' AFTER reasoning_tokens,
    ADD COLUMN IF NOT EXISTS reported_output_tokens Nullable(UInt64) COMMENT 'output tokens as the provider reported them; null: as booked' AFTER reported_input_tokens,
    ADD COLUMN IF NOT EXISTS disputed_usd Decimal(38, 12) COMMENT 'cost of the reported tokens beyond the worst case of the call; not part of cost_usd' AFTER cost_usd;

ALTER TABLE crossdock.alerts
    ADD COLUMN IF NOT EXISTS held_usd Nullable(Decimal(38, 12)) COMMENT 'of a refusal: USD held for calls; null: another kind of alert' AFTER spent_usd,
    ADD COLUMN IF NOT EXISTS provider LowCardinality(String) COMMENT 'of a disputed report: its provider; empty: another kind of alert' AFTER scope,
    COMMENT COLUMN kind 'budget_nearly_used (80 %), budget_used, budget_refused, credits_low, credits_used, credits_refused, credits_expiring (some days before), credits_expired or usage_disputed',
    COMMENT COLUMN limit_usd 'limit of the budget; for credits: all credits; for a disputed report: the cost booked',
    COMMENT COLUMN spent_usd 'USD spent of it; for a disputed report: the cost reported',
    COMMENT COLUMN amount_usd 'amount of credits that expire; of a refusal: worst case of the request; of a disputed report: the part not booked; null: another kind of alert';
