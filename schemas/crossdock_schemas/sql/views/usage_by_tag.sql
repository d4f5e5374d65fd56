CREATE OR REPLACE VIEW crossdock.usage_by_tag
(
    account String COMMENT 'organization that pays',
    tag String COMMENT 'name of the tag',
    value String COMMENT 'its value',
    model String COMMENT 'model that the request named',
    requests UInt64 COMMENT 'requests that had a call',
    calls UInt64 COMMENT 'calls; a call with several tags counts under each',
    failed_calls UInt64 COMMENT 'calls with another outcome than ok',
    input_tokens UInt64 COMMENT 'all input, cached included',
    cached_tokens UInt64 COMMENT 'input read from a cache',
    output_tokens UInt64 COMMENT 'all output, reasoning included',
    cost_usd Decimal(38, 12) COMMENT 'USD in all'
)
AS
SELECT
    account, pair.1 AS tag, pair.2 AS value, model,
    uniqExact(request_id) AS requests, count() AS calls, countIf(outcome != 'ok') AS failed_calls,
    sum(input_tokens) AS input_tokens, sum(cached_tokens) AS cached_tokens, sum(output_tokens) AS output_tokens,
    sum(cost_usd) AS cost_usd
FROM (SELECT *, arrayJoin(CAST(tags, 'Array(Tuple(String, String))')) AS pair FROM crossdock.attempts FINAL) AS calls_by_tag
GROUP BY account, tag, value, model
COMMENT 'One row per tag, value and model';
