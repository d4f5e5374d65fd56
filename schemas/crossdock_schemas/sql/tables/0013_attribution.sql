-- For whom calls are made, and under which tags.
ALTER TABLE crossdock.attempts
    ADD COLUMN IF NOT EXISTS user String COMMENT 'end user that the request named (user or safety_identifier); empty if none' AFTER credential_id,
    ADD COLUMN IF NOT EXISTS tags Map(LowCardinality(String), String) COMMENT 'the request''s metadata, its key''s and its project''s tags, as they were when it was admitted' AFTER user;

-- Budgets of end users and tags: what a posting counts for besides its key.
ALTER TABLE crossdock.journal
    ADD COLUMN IF NOT EXISTS marks Array(String) COMMENT 'end user (user:alice) and tags (tag:team=search) that it counts for besides: those that had a budget when its hold was made' AFTER is_byok;
