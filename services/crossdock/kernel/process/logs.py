"""structlog for everything, the libraries' loggers included: JSON, or readable when stderr is a terminal."""

import logging
import sys
import time
import traceback
from collections.abc import Callable, Iterable
from typing import Any

import structlog
from typing_extensions import override

from crossdock.kernel.process.masking import SecretMask

REPEATS_S = 10.0  # a library's message is written once in this time; without Kafka aiokafka logs every few ms
_NOISY = ("aiokafka", "faust", "mode", "urllib3", "httpx", "uvicorn.access", "clickhouse_connect")


def _renderers() -> list[structlog.typing.Processor]:
    if sys.stderr.isatty():
        # why: the default formatter shows locals, which hold prompts, answers and keys
        return [structlog.dev.ConsoleRenderer(exception_formatter=structlog.dev.plain_traceback)]
    frames = structlog.tracebacks.ExceptionDictTransformer(show_locals=False)
    return [structlog.processors.ExceptionRenderer(frames), structlog.processors.JSONRenderer()]


class Repeats(logging.Filter):
    """Lets the same message of a library pass once in `REPEATS_S`, with the number left out since.

    Messages are the same if logger, level and unformatted text are the same. Crossdock's own events all pass.
    """

    def __init__(self, now_s: Callable[[], float] = time.monotonic) -> None:
        super().__init__()
        self._now_s = now_s
        self._seen: dict[tuple[str, int, object], list[float]] = {}

    @override
    def filter(self, record: logging.LogRecord) -> bool:
        if isinstance(record.msg, dict):  # an event of Crossdock
            return True
        now_s = self._now_s()
        key = (record.name, record.levelno, record.msg)
        passed = self._seen.setdefault(key, [now_s - REPEATS_S, 0])
        if now_s - passed[0] < REPEATS_S:
            passed[1] += 1
            return False
        if passed[1]:
            record.left_out = int(passed[1])
        passed[:] = [now_s, 0]
        return True


class HiddenSecrets:
    """The secrets of this process, which no line of its logs shows."""

    def __init__(self) -> None:
        self._known: dict[str, None] = {}
        self._mask = SecretMask(())

    def add(self, secrets: Iterable[str]) -> None:
        self._known |= dict.fromkeys(secrets)
        self._mask = SecretMask(self._known, b"[secret]")

    def clean(self, text: str) -> str:
        return self._mask.clean_text(text)

    def render(self, _logger: Any, _method: str, line: Any) -> Any:
        """Clean a rendered line: a processor of structlog, after its renderer."""
        return self.clean(line) if isinstance(line, str) else line


LOG_SECRETS = HiddenSecrets()


def _print_unhandled(kind: type[BaseException], error: BaseException, trace: Any) -> None:
    """Print what ends the process, as Python does, without secrets."""
    sys.stderr.write(LOG_SECRETS.clean("".join(traceback.format_exception(kind, error, trace))))


def configure_logs(level: str, stage: str) -> None:
    """Send Crossdock's events and the libraries' records through one formatter to stderr."""
    shared: list[structlog.typing.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        wrapper_class=structlog.make_filtering_bound_logger(
            logging.getLevelNamesMapping()[level.upper()]
        ),
        logger_factory=structlog.stdlib.LoggerFactory(),
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler()
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[*shared, structlog.stdlib.ExtraAdder()],
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                *_renderers(),
                LOG_SECRETS.render,
            ],
        )
    )
    handler.addFilter(Repeats())
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(level.upper())
    for name in _NOISY:
        logging.getLogger(name).setLevel(logging.WARNING)
    structlog.contextvars.bind_contextvars(stage=stage)
    sys.excepthook = _print_unhandled
