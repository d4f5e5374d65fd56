-- Calls with own provider keys: what they cost is counted apart, for a budget may leave it out.
ALTER TABLE crossdock.attempts
    ADD COLUMN IF NOT EXISTS is_byok Bool COMMENT 'made with an own provider key: what it cost is owed by that key''s owner' AFTER repeat_of,
    ADD COLUMN IF NOT EXISTS credential_id String COMMENT 'the own provider key; empty for the installation''s' AFTER is_byok;

ALTER TABLE crossdock.journal
    ADD COLUMN IF NOT EXISTS is_byok Bool COMMENT 'of calls with an own provider key' AFTER provider;

ALTER TABLE crossdock.control_log
    COMMENT COLUMN target 'id of the organization, project, key, policy, budget or own provider key';
