-- What is set aside for calls that may begin, why a batch waits, and whether the budgets held.
ALTER TABLE crossdock.journal
    ADD COLUMN IF NOT EXISTS change UInt64 COMMENT 'number of the account''s last change in control_log before the entry: by it the budgets of the moment are known' AFTER kind,
    ADD COLUMN IF NOT EXISTS day Date DEFAULT toDate(at) COMMENT 'UTC day in whose windows it counts: the hold''s; that of the booking where there is no hold' AFTER provider,
    COMMENT COLUMN kind 'hold: calls may begin, and what they can cost at most is set aside; capture: calls cost money, which their holds give up; correction: what a call cost became known later; release: no more calls under these holds; expiry: nobody told of the end of these holds',
    COMMENT COLUMN executions 'calls behind the entry, of a hold, a release or an expiry lines; the same in each of its postings',
    COMMENT COLUMN ledger 'spend: what a key spent; provider: what is owed to a provider, below 0; held: what is set aside for a key''s calls; available: the other side of held, below 0',
    COMMENT COLUMN provider 'provider that was called; empty for held and available';

ALTER TABLE crossdock.control_log
    COMMENT COLUMN target 'id of the organization, project, key, policy or budget';

ALTER TABLE crossdock.batches
    ADD COLUMN IF NOT EXISTS waiting_lines UInt64 COMMENT 'lines that came back, for a budget leaves nothing for them, and wait to be tried again' AFTER cost_usd,
    ADD COLUMN IF NOT EXISTS waiting_code LowCardinality(String) COMMENT 'why lines wait, such as budget_exceeded; empty: none do' AFTER waiting_lines,
    ADD COLUMN IF NOT EXISTS waiting_reason String COMMENT 'the same in words, with the budget and the amounts' AFTER waiting_code;
