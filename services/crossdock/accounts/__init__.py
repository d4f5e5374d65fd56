"""Accounts: the single writer of organizations, projects, keys, admissions and money.

In: accounts.commands, accounts.state, requests, usage.
Out: accounts.commands, accounts.state, accounts.directory, accounts.secrets, accounts.changes, accounts.journal,
accounts.alerts, admitted, cancels, dead-letters, results, batches.commands, batches.results.

Guarantee: EXACTLY_ONCE_OUTPUTS. Each command is applied or refused once and logged under the account's next number.
Nothing of a key is admitted after the key was deleted or disabled. Each call is booked once, however often it is
reported. After a crash between any two steps a step is there as a whole, or the next owner repeats it.
"""
