CREATE OR REPLACE VIEW crossdock.usage_by_model AS
SELECT
    account, project, model,
    uniqExact(request_id) AS requests, count() AS calls, countIf(outcome != 'ok') AS failed_calls,
    sum(input_tokens) AS input_tokens, sum(cached_tokens) AS cached_tokens, sum(output_tokens) AS output_tokens,
    sum(cost_usd) AS cost_usd,
    round(avg(dateDiff('millisecond', started_at, finished_at))) AS mean_latency_ms
FROM crossdock.attempts FINAL
GROUP BY account, project, model;
