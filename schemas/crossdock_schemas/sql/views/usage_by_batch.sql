CREATE OR REPLACE VIEW crossdock.usage_by_batch AS
SELECT
    account, project, batch_id,
    uniqExact(request_id) AS requests, count() AS calls, countIf(outcome != 'ok') AS failed_calls,
    sum(input_tokens) AS input_tokens, sum(cached_tokens) AS cached_tokens, sum(output_tokens) AS output_tokens,
    sum(cost_usd) AS cost_usd, min(started_at) AS first_call_at, max(finished_at) AS last_call_at
FROM crossdock.attempts FINAL
WHERE batch_id != ''
GROUP BY account, project, batch_id;
