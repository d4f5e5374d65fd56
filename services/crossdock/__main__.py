"""`crossdock`, and `python -m crossdock`. Ctrl-C ends it in one line, from the first import to the last."""

import os
import signal
from importlib import import_module
from types import FrameType

INTERRUPTED = 130  # as shells show it


def _end(_number: int, _frame: FrameType | None) -> None:
    os.write(2, b"crossdock: interrupted\n")
    os._exit(INTERRUPTED)


def main() -> None:
    """Run one command."""
    if signal.getsignal(signal.SIGINT) is not signal.SIG_IGN:
        signal.signal(signal.SIGINT, _end)
    import_module("crossdock.cli.app").main()


if __name__ == "__main__":
    main()
