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
