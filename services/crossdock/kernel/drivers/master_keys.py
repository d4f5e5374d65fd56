"""Where a process finds the master keys: in its environment, or in a file that it names."""

from pathlib import Path

from pydantic import SecretStr

from crossdock.kernel.drivers.envelope_encryption import MasterKeys
from crossdock.kernel.process.errors import SettingsError
from crossdock.kernel.process.settings import Settings


class MasterKeySettings(Settings):
    """What those stages know besides that hold own provider keys."""

    master_key: SecretStr | None = None
    """What own provider keys are sealed with: 64 hexadecimal digits each, by commas; the first seals, all open."""
    master_key_file: Path | None = None
    """A file with them instead, a line each. With neither there are no own provider keys."""

    def master_keys(self) -> MasterKeys | None:
        """Return the keys; None if there are none.

        Raises:
            SettingsError: if they cannot be read, or are none.
        """
        return load_master_keys(self.master_key, self.master_key_file)


def load_master_keys(given: SecretStr | None, file: Path | None) -> MasterKeys | None:
    """Return the keys that are `given`, or those in `file`; None if neither says any.

    Raises:
        SettingsError: if they cannot be read, or are none.
    """
    if given is not None and given.get_secret_value().strip():
        return MasterKeys.parse(given)
    if file is None:
        return None
    try:
        return MasterKeys.parse(SecretStr(file.read_text()))
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is no text"
        raise SettingsError(f"CROSSDOCK_MASTER_KEY_FILE: cannot read {file}: {reason}") from None
