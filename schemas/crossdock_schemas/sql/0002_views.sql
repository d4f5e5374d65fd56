-- The analysts' contract: business names, FINAL hidden, money exact.
CREATE OR REPLACE VIEW crossdock.usage_by_model AS
SELECT
    account, project, model,
    uniqExact(request_id) AS requests, count() AS calls, countIf(outcome != 'ok') AS failed_calls,
    sum(input_tokens) AS input_tokens, sum(cached_tokens) AS cached_tokens, sum(output_tokens) AS output_tokens,
    sum(cost_usd) AS cost_usd,
    round(avg(dateDiff('millisecond', started_at, finished_at))) AS mean_latency_ms
FROM crossdock.attempts FINAL
GROUP BY account, project, model;

CREATE OR REPLACE VIEW crossdock.usage_by_provider AS
SELECT
    account, project, provider, model,
    uniqExact(request_id) AS requests, count() AS calls, countIf(outcome != 'ok') AS failed_calls,
    sum(input_tokens) AS input_tokens, sum(cached_tokens) AS cached_tokens, sum(output_tokens) AS output_tokens,
    sum(cost_usd) AS cost_usd,
    round(avg(dateDiff('millisecond', started_at, finished_at))) AS mean_latency_ms
FROM crossdock.attempts FINAL
GROUP BY account, project, provider, model;

CREATE OR REPLACE VIEW crossdock.usage_by_batch AS
SELECT
    account, project, batch_id,
    uniqExact(request_id) AS requests, count() AS calls, countIf(outcome != 'ok') AS failed_calls,
    sum(input_tokens) AS input_tokens, sum(cached_tokens) AS cached_tokens, sum(output_tokens) AS output_tokens,
    sum(cost_usd) AS cost_usd, min(started_at) AS first_call_at, max(finished_at) AS last_call_at
FROM crossdock.attempts FINAL
WHERE batch_id != ''
GROUP BY account, project, batch_id;

CREATE OR REPLACE VIEW crossdock.usage_by_hour AS
SELECT
    account, project, toStartOfHour(started_at) AS hour, model, provider,
    uniqExact(request_id) AS requests, count() AS calls, countIf(outcome != 'ok') AS failed_calls,
    sum(input_tokens) AS input_tokens, sum(cached_tokens) AS cached_tokens, sum(output_tokens) AS output_tokens,
    sum(cost_usd) AS cost_usd
FROM crossdock.attempts FINAL
GROUP BY account, project, hour, model, provider;
