-- One row per change: what was asked of an account, by whom, and what became of it. Never changed afterwards.
CREATE TABLE IF NOT EXISTS crossdock.control_log
(
    account LowCardinality(String) COMMENT 'organization whose log it is',
    number UInt64 COMMENT 'position in the account''s log, from 1, without a gap',
    change_id String COMMENT 'identity of the change',
    at DateTime64(3, 'UTC') COMMENT 'when it was decided',
    actor String COMMENT 'management key that asked; empty: the installation itself',
    action LowCardinality(String) COMMENT 'what was asked, such as create_key',
    target String COMMENT 'id of the organization, project or key',
    before Map(String, String) COMMENT 'the fields that changed as they were, JSON by name',
    after Map(String, String) COMMENT 'the same fields as they were from then on, JSON by name',
    refusal LowCardinality(String) COMMENT 'not_found, permission_denied, conflict or invalid_request; empty: it was applied',
    reason String COMMENT 'why it was refused, in words; empty: it was applied'
)
ENGINE = ReplacingMergeTree
PARTITION BY toYYYYMM(at)
ORDER BY (account, number)
COMMENT 'One row per change of an account, applied or refused';
