"""What the accounts shard needs to know."""

from crossdock.kernel.settings import Settings


class AccountsSettings(Settings):
    """CROSSDOCK_ACCOUNTS_*. Nothing of its own yet."""
