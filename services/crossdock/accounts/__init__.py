"""Accounts: the single writer of organizations, projects and keys.

In: accounts.commands.  Out: accounts.changes, accounts.directory, accounts.state, cancels, accounts.commands (a new
organization's first command, which its operator's shard hands on).
Guarantee: each command is applied or refused once, by a shard that knows all of the account, and logged under the
account's next number. Log, directory, cancels and state become visible in one transaction: after a crash between any
two steps all of them are there, or none and the command is applied by the next owner.
"""
