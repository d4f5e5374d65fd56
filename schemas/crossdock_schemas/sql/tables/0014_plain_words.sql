-- Comments of columns in plain words, with the names of the glossary.
ALTER TABLE crossdock.attempts
    COMMENT COLUMN key_id 'API key of the request',
    COMMENT COLUMN request_id 'request of the call',
    COMMENT COLUMN parcel_id 'parcel that contained the line',
    COMMENT COLUMN custom_id 'the caller''s id of the line',
    COMMENT COLUMN model 'model that the request named',
    COMMENT COLUMN upstream_model 'the provider''s name of the model',
    COMMENT COLUMN route_reason 'why the router put the endpoint at this position',
    COMMENT COLUMN status_code 'HTTP status; 0 without an answer',
    COMMENT COLUMN is_estimated 'the provider reported no usage: tokens are an estimate',
    COMMENT COLUMN provider_cost_usd 'cost that the provider reported',
    COMMENT COLUMN created_at 'when the parcel was made',
    COMMENT COLUMN started_at 'when the call was claimed, a moment before it began',
    COMMENT COLUMN finished_at 'when the call ended',
    COMMENT COLUMN provider_request_id 'the provider''s id of the call',
    COMMENT COLUMN duplicate_suspected 'its worker died: the call may have been paid and repeated',
    COMMENT COLUMN is_byok 'made with a BYOK key: its cost is paid to the provider by the key''s owner',
    COMMENT COLUMN credential_id 'BYOK key of the call; empty for the installation key',
    COMMENT COLUMN user 'attribution: end user that the request named (user or safety_identifier); empty if none',
    COMMENT COLUMN tags 'attribution: metadata of the request, tags of its key and its project, at its admission',
    COMMENT COLUMN version '1: reported by the worker of the call; 0: an estimate of another worker';

ALTER TABLE crossdock.requests
    COMMENT COLUMN key_id 'API key of the request',
    COMMENT COLUMN custom_id 'the caller''s id of the line',
    COMMENT COLUMN model 'model that the request named',
    COMMENT COLUMN provider 'provider of the last call; empty without a call',
    COMMENT COLUMN status_code 'HTTP status of the output line; 0 without a call',
    COMMENT COLUMN attempts 'candidates that were tried',
    COMMENT COLUMN calls 'calls to the last candidate',
    COMMENT COLUMN accepted_at 'when the request, or its batch, was accepted',
    COMMENT COLUMN dispatched_at 'when its parcel was made',
    COMMENT COLUMN finished_at 'when the request ended';

ALTER TABLE crossdock.batches
    COMMENT COLUMN key_id 'API key of the batch',
    COMMENT COLUMN input_file_id 'file of its input',
    COMMENT COLUMN input_bytes 'length of that file',
    COMMENT COLUMN completion_window 'window of the request',
    COMMENT COLUMN metadata 'metadata of the request',
    COMMENT COLUMN waiting_lines 'lines that wait for money',
    COMMENT COLUMN waiting_code 'wait reason, such as budget_exceeded; empty if no line waits',
    COMMENT COLUMN waiting_reason 'wait reason in words, with the budget and the amounts',
    COMMENT COLUMN created_at 'when it was accepted',
    COMMENT COLUMN in_progress_at 'when it was validated',
    COMMENT COLUMN finished_at 'when it reached its final state';

ALTER TABLE crossdock.control_log
    COMMENT COLUMN actor 'management key of the caller; empty: the installation itself',
    COMMENT COLUMN action 'the command, such as create_key',
    COMMENT COLUMN target 'id of the organization, project, key, policy, budget, preset, BYOK key or credit',
    COMMENT COLUMN before 'old values of the changed fields, JSON by name',
    COMMENT COLUMN after 'new values of the same fields, JSON by name',
    COMMENT COLUMN refusal 'not_found, permission_denied, conflict or invalid_request; empty: the change was applied',
    COMMENT COLUMN reason 'reason of the refusal in words; empty: the change was applied';

ALTER TABLE crossdock.journal
    COMMENT COLUMN kind 'hold: the worst case of calls is reserved before they begin; capture: the cost of calls is taken from their holds; correction: the outcome of a call booked at an estimate became known; release: no more calls run under these holds; expiry: no worker reported the end of these holds; top_up: credits were paid; grant: credits were given; adjustment: credits were corrected; refund: credits were paid back; lapse: credits were not used in time and are written off',
    COMMENT COLUMN change 'number of the account''s last change in control_log before the entry: it determines the budgets of the moment',
    COMMENT COLUMN executions 'number of calls; of a hold, a release or an expiry: lines; of credits: 0; the same in each posting of the entry',
    COMMENT COLUMN ledger 'spend: spending of a key; provider: debt to a provider, below 0; held: held for calls of a key; available: the other side of held, below 0; credits: credits of the organization; fee: fee of the operator; payment: payments for credits and fee, below 0; granted: credits from the operator, below 0; lapsed: credits written off',
    COMMENT COLUMN project 'project of the key; empty for credits, fee, payment, granted and lapsed',
    COMMENT COLUMN key_id 'API key of the calls; empty for credits, fee, payment, granted and lapsed',
    COMMENT COLUMN provider 'provider of the calls; empty for all ledgers except spend and provider',
    COMMENT COLUMN is_byok 'whether a BYOK key paid for the calls',
    COMMENT COLUMN marks 'attribution: end user (user:alice) and tags (tag:team=search) that had a budget at the time of the hold',
    COMMENT COLUMN day 'UTC day whose windows it counts in: the day of the hold; without a hold, of the booking',
    COMMENT COLUMN expires_at 'expiry of credits, and of their write-off; null: never';

ALTER TABLE crossdock.alerts
    COMMENT COLUMN scope 'id of the organization, project or key that has the budget or the credits',
    COMMENT COLUMN window 'window of the budget: total, daily, weekly or monthly; empty: credits',
    COMMENT COLUMN limit_usd 'limit of the budget; for credits: all credits',
    COMMENT COLUMN spent_usd 'USD spent of it',
    COMMENT COLUMN until 'end of the budget''s window, or expiry of the credits; null: never',
    COMMENT COLUMN amount_usd 'amount of credits that expire; null: another kind of alert';
