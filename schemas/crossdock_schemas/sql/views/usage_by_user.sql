CREATE OR REPLACE VIEW crossdock.usage_by_user AS
SELECT
    account, project, user, model,
    uniqExact(request_id) AS requests, count() AS calls, countIf(outcome != 'ok') AS failed_calls,
    sum(input_tokens) AS input_tokens, sum(cached_tokens) AS cached_tokens, sum(output_tokens) AS output_tokens,
    sum(cost_usd) AS cost_usd
FROM crossdock.attempts FINAL
WHERE user != ''
GROUP BY account, project, user, model;
