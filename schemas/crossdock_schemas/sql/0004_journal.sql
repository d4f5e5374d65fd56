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

-- Is the journal whole? Numbers begin at 1, so a lost beginning is missing too; entries after the last row are not known.
CREATE OR REPLACE VIEW crossdock.journal_gaps AS
SELECT
    account,
    min(number) AS first_number, max(number) AS last_number, uniqExact(number) AS entries,
    max(number) - uniqExact(number) AS missing
FROM crossdock.journal FINAL
GROUP BY account;

-- Must be empty: in double entry, what a key spends is owed to a provider.
CREATE OR REPLACE VIEW crossdock.journal_unbalanced AS
SELECT
    account, number,
    min(at) AS booked_at, count() AS postings, sum(amount_usd) AS off_by_usd
FROM crossdock.journal FINAL
GROUP BY account, number
HAVING off_by_usd != 0;

CREATE OR REPLACE VIEW crossdock.spend_by_key AS
SELECT
    account, project, key_id,
    sum(amount_usd) AS spent_usd
FROM crossdock.journal FINAL
WHERE ledger = 'spend'
GROUP BY account, project, key_id;

-- Must be empty at rest: the journal and the calls come by different ways, seconds apart.
CREATE OR REPLACE VIEW crossdock.journal_differences AS
SELECT
    account, project, key_id, provider,
    sum(booked_usd) AS spent_usd, sum(call_usd) AS cost_usd
FROM
(
    SELECT account, project, key_id, provider, amount_usd AS booked_usd, toDecimal128(0, 12) AS call_usd
    FROM crossdock.journal FINAL
    WHERE ledger = 'spend'
    UNION ALL
    SELECT account, project, key_id, provider, toDecimal128(0, 12) AS booked_usd, cost_usd AS call_usd
    FROM crossdock.attempts FINAL
)
GROUP BY account, project, key_id, provider
HAVING spent_usd != cost_usd;
