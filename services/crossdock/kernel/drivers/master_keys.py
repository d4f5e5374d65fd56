"""The master keys of a process: from its environment, or from a file that the environment names."""

from pathlib import Path

from pydantic import SecretStr

from crossdock.kernel.drivers.envelope_encryption import MasterKeys
from crossdock.kernel.process.errors import SettingsError
from crossdock.kernel.process.logs import LOG_SECRETS
from crossdock.kernel.process.settings import Settings


class MasterKeySettings(Settings):
    """Additional settings of the stages that encrypt or decrypt BYOK keys."""

    master_key: SecretStr | None = None
    """Master keys for BYOK keys: 64 hexadecimal digits each, separated by commas. The first encrypts, all decrypt."""
    master_key_file: Path | None = None
    """File with the master keys instead, one a line. Without either, BYOK keys are not available."""

    def master_keys(self) -> MasterKeys | None:
        """Return the keys; None if there are none.

        Raises:
            SettingsError: if they cannot be read, or have another form.
        """
        return load_master_keys(self.master_key, self.master_key_file)


def load_master_keys(given: SecretStr | None, file: Path | None) -> MasterKeys | None:
    """Return the keys in `given`, else those in `file`; None without either.

    Raises:
        SettingsError: if they cannot be read, or have another form.
    """
    if given is not None and given.get_secret_value().strip():
        return MasterKeys.parse(given)
    if file is None:
        return None
    try:
        text = file.read_text()
        LOG_SECRETS.add(text.split())
        return MasterKeys.parse(SecretStr(text))
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not text"
        raise SettingsError(f"CROSSDOCK_MASTER_KEY_FILE: cannot read {file}: {reason}") from None
