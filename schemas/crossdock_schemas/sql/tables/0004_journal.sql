-- One row per posting: what an entry of the journal says of one ledger, key and provider. Never changed afterwards.
CREATE TABLE IF NOT EXISTS crossdock.journal
(
    account LowCardinality(String) COMMENT 'organization whose journal it is',
    number UInt64 COMMENT 'the entry''s position in the account''s journal, from 1, without a gap',
    line UInt16 COMMENT 'the posting''s position in its entry, from 0',
    at DateTime64(3, 'UTC') COMMENT 'when the entry was booked',
    kind LowCardinality(String) COMMENT 'capture: calls cost money; correction: what a call cost became known later',
    executions UInt32 COMMENT 'calls behind the entry; the same in each of its postings',
    ledger LowCardinality(String) COMMENT 'spend: what a key spent; provider: what is owed to a provider, below 0',
    project LowCardinality(String) COMMENT 'project of the key',
    key_id LowCardinality(String) COMMENT 'API key that asked',
    provider LowCardinality(String) COMMENT 'provider that was called',
    amount_usd Decimal(38, 12) COMMENT 'USD; the postings of an entry add up to 0'
)
ENGINE = ReplacingMergeTree
PARTITION BY toYYYYMM(at)
ORDER BY (account, number, line)
COMMENT 'One row per posting of an account''s journal';
