-- One row per execution: a call that a provider received, or that was tried.
CREATE TABLE IF NOT EXISTS crossdock.attempts
(
    account LowCardinality(String) COMMENT 'organization that pays',
    project LowCardinality(String) COMMENT 'project of the key',
    key_id LowCardinality(String) COMMENT 'API key that asked',
    request_id String COMMENT 'request that the call was made for',
    execution_id String COMMENT 'identity of the call',
    parcel_id String COMMENT 'parcel that it travelled in',
    batch_id String COMMENT 'batch of the request; empty for a single one',
    line UInt32 COMMENT 'line number in the batch, from 0',
    custom_id String COMMENT 'the caller''s own id of the line',
    lane LowCardinality(String) COMMENT 'realtime or batch',
    operation LowCardinality(String) COMMENT 'path of the endpoint, such as /v1/chat/completions',
    model LowCardinality(String) COMMENT 'model that was asked for',
    provider LowCardinality(String) COMMENT 'provider that was called',
    upstream_model LowCardinality(String) COMMENT 'the provider''s name of the model',
    attempt UInt8 COMMENT 'position in the plan, from 1',
    call UInt16 COMMENT 'call within the attempt, from 1',
    route_reason LowCardinality(String) COMMENT 'why the router put the endpoint there',
    outcome LowCardinality(String) COMMENT 'ok, rate_limited, quota_exhausted, client_error, server_error, timeout, connection_lost, not_connected, truncated, garbage, unknown',
    status_code UInt16 COMMENT 'HTTP status; 0 if none came',
    error_code LowCardinality(String) COMMENT 'code of the error; empty if ok',
    input_tokens UInt64 COMMENT 'all input, cached included',
    cached_tokens UInt64 COMMENT 'input read from a cache',
    cache_write_tokens UInt64 COMMENT 'input written to a cache',
    output_tokens UInt64 COMMENT 'all output, reasoning included',
    reasoning_tokens UInt64 COMMENT 'output spent on reasoning',
    is_estimated Bool COMMENT 'the provider gave no usage: tokens are our estimate',
    input_cost_usd Decimal(38, 12) COMMENT 'USD for the input',
    output_cost_usd Decimal(38, 12) COMMENT 'USD for the output',
    request_cost_usd Decimal(38, 12) COMMENT 'USD for the call itself',
    cost_usd Decimal(38, 12) COMMENT 'USD in all',
    price_version LowCardinality(String) COMMENT 'version of the price',
    provider_cost_usd Nullable(Decimal(38, 12)) COMMENT 'what the provider says it cost',
    created_at DateTime64(3, 'UTC') COMMENT 'parcel was made',
    started_at DateTime64(3, 'UTC') COMMENT 'call was claimed, a moment before it began',
    finished_at DateTime64(3, 'UTC') COMMENT 'call ended',
    provider_request_id String COMMENT 'the provider''s own id of the call',
    duplicate_suspected Bool COMMENT 'its worker died: the call may have been paid for and made again',
    repeat_of String COMMENT 'execution of unknown end that this call repeats; empty for any other',
    version UInt8 COMMENT '1 as its own worker tells it, 0 as somebody else supposes'
)
ENGINE = ReplacingMergeTree(version)
PARTITION BY toYYYYMM(started_at)
ORDER BY (account, toStartOfHour(started_at), request_id, execution_id)
COMMENT 'One row per call to a provider';

-- One row per request; of several ends the first in the log wins.
CREATE TABLE IF NOT EXISTS crossdock.requests
(
    account LowCardinality(String) COMMENT 'organization that pays',
    project LowCardinality(String) COMMENT 'project of the key',
    key_id LowCardinality(String) COMMENT 'API key that asked',
    request_id String COMMENT 'identity of the request',
    batch_id String COMMENT 'its batch; empty for a single one',
    line UInt32 COMMENT 'line number in the batch, from 0',
    custom_id String COMMENT 'the caller''s own id of the line',
    lane LowCardinality(String) COMMENT 'realtime or batch',
    operation LowCardinality(String) COMMENT 'path of the endpoint',
    model LowCardinality(String) COMMENT 'model that was asked for',
    provider LowCardinality(String) COMMENT 'provider that ended it; empty if none was called',
    outcome LowCardinality(String) COMMENT 'completed, failed, cancelled or expired',
    status_code UInt16 COMMENT 'HTTP status that the caller sees; 0 if nothing was executed',
    error_code LowCardinality(String) COMMENT 'code of the error; empty if completed',
    attempts UInt8 COMMENT 'endpoints tried',
    calls UInt16 COMMENT 'calls made at the last of them',
    input_tokens UInt64 COMMENT 'input of the answer, cached included',
    cached_tokens UInt64 COMMENT 'input read from a cache',
    output_tokens UInt64 COMMENT 'output, reasoning included',
    reasoning_tokens UInt64 COMMENT 'output spent on reasoning',
    cost_usd Decimal(38, 12) COMMENT 'USD of the answer',
    accepted_at DateTime64(3, 'UTC') COMMENT 'request, or its batch, was accepted',
    dispatched_at DateTime64(3, 'UTC') COMMENT 'its parcel was made',
    finished_at DateTime64(3, 'UTC') COMMENT 'its end',
    version UInt64 COMMENT 'inverted offset: the first end has the highest'
)
ENGINE = ReplacingMergeTree(version)
PARTITION BY toYYYYMM(accepted_at)
ORDER BY (account, accepted_at, request_id)
COMMENT 'One row per request';

CREATE TABLE IF NOT EXISTS crossdock.batches
(
    account LowCardinality(String) COMMENT 'organization that pays',
    project LowCardinality(String) COMMENT 'project of the key',
    key_id LowCardinality(String) COMMENT 'API key that asked',
    batch_id String COMMENT 'identity of the batch',
    status LowCardinality(String) COMMENT 'as in GET /v1/batches/{id}',
    operation LowCardinality(String) COMMENT 'path of the endpoint',
    input_file_id String COMMENT 'file that it came in',
    input_bytes UInt64 COMMENT 'length of that file',
    completion_window LowCardinality(String) COMMENT 'as asked for',
    metadata Map(String, String) COMMENT 'as given',
    total UInt32 COMMENT 'lines',
    completed UInt32 COMMENT 'lines with an answer',
    failed UInt32 COMMENT 'lines without one',
    input_tokens UInt64 COMMENT 'of all answers',
    output_tokens UInt64 COMMENT 'of all answers',
    cost_usd Decimal(38, 12) COMMENT 'of all answers',
    created_at DateTime64(3, 'UTC') COMMENT 'accepted',
    in_progress_at Nullable(DateTime64(3, 'UTC')) COMMENT 'validated',
    finished_at Nullable(DateTime64(3, 'UTC')) COMMENT 'reached its final state',
    expires_at DateTime64(3, 'UTC') COMMENT 'end of its window',
    version UInt64 COMMENT 'offset of the directory entry'
)
ENGINE = ReplacingMergeTree(version)
PARTITION BY toYYYYMM(created_at)
ORDER BY (account, batch_id)
COMMENT 'One row per batch';
