"""Accounts: the single writer of organizations, projects and keys, of who may go on, and of what was spent.

In: accounts.commands, usage, requests.  Out: admitted, or the refusal into results or batches.results;
accounts.journal, accounts.changes, accounts.directory, accounts.state, cancels, accounts.commands (a new organization's
first command, which its operator's shard hands on).
Guarantee: each command is applied or refused once and logged under the account's next number; nothing of a key is
admitted after it was taken away; each call is booked once, whoever told of it how often. All that a step decides
becomes visible in one transaction with the positions: after a crash between any two steps all of it is there, or none
and the next owner does it.
"""
