CREATE OR REPLACE VIEW crossdock.disputed_usage
(
    account String COMMENT 'organization of the calls',
    project String COMMENT 'project of the calls',
    provider String COMMENT 'provider that reported more tokens than its calls may have used',
    model String COMMENT 'model that the requests named',
    calls UInt64 COMMENT 'calls with such a report',
    reported_input_tokens UInt64 COMMENT 'input tokens as reported',
    reported_output_tokens UInt64 COMMENT 'output tokens as reported',
    booked_usd Decimal(38, 12) COMMENT 'cost that is booked: up to the worst case of each call',
    disputed_usd Decimal(38, 12) COMMENT 'cost of the reported tokens beyond it'
)
AS
SELECT
    account, project, provider, model, count() AS calls,
    sum(assumeNotNull(reported_input_tokens)) AS reported_input_tokens,
    sum(assumeNotNull(reported_output_tokens)) AS reported_output_tokens,
    sum(cost_usd) AS booked_usd, sum(disputed_usd) AS disputed_usd
FROM crossdock.attempts AS row FINAL
WHERE row.reported_input_tokens IS NOT NULL
GROUP BY account, project, provider, model
COMMENT 'One row per provider and model with disputed reports';
