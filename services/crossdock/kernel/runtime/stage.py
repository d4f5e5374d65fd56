"""The process of a stage: settings, logs, health and ops server, before its own work begins."""

from collections.abc import AsyncIterator, Callable, Coroutine, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import TypeVar

from crossdock.kernel.drivers.kafka import BROKER, Producer, open_producer, wait_for_broker
from crossdock.kernel.drivers.kafka.producer import SEND_LIMIT_S
from crossdock.kernel.process import lifecycle
from crossdock.kernel.process.clock import Clock, SystemClock
from crossdock.kernel.process.health import Health
from crossdock.kernel.process.kafka_settings import ACCESS
from crossdock.kernel.process.logs import configure_logs
from crossdock.kernel.process.ops_server import open_ops
from crossdock.kernel.process.settings import Settings

S = TypeVar("S", bound=Settings)


def read_settings(model: type[S], environ: Mapping[str, str], name: str) -> S:
    """Return the settings of stage `name`, and set up its logs.

    Raises:
        SettingsError: naming every unknown, missing or impossible setting.
    """
    settings = model.from_env(environ, prefix=f"CROSSDOCK_{name.upper()}_")
    configure_logs(settings.log_level, name)
    return settings


@dataclass(frozen=True)
class StageProcess:
    """A running process of a stage; what enters `stack` is closed in reverse order at its end."""

    name: str
    settings: Settings
    health: Health
    clock: Clock
    stack: AsyncExitStack

    @property
    def servers(self) -> str:
        return self.settings.kafka_bootstrap_servers

    @property
    def client(self) -> str:
        """The name of this process at Kafka."""
        return f"{self.name}.{self.settings.instance}"

    async def open_producer(self, *, send_limit_s: float = SEND_LIMIT_S) -> Producer:
        opened = open_producer(self.servers, client=self.client, send_limit_s=send_limit_s)
        return await self.stack.enter_async_context(opened)

    async def beside(self, work: Coroutine[None, None, None]) -> None:
        """Run `work` until the process ends."""
        await self.stack.enter_async_context(lifecycle.beside(work))

    async def run(
        self, service: lifecycle.Service, *, left: Callable[[], str] | None = None
    ) -> int:
        """Run `service` until it ends or a signal stops it; return the exit code."""
        return await lifecycle.run(
            service, drain_s=self.settings.drain_s, left=left or (lambda: "work")
        )


@asynccontextmanager
async def open_stage(name: str, settings: Settings) -> AsyncIterator[StageProcess]:
    """Serve the health of stage `name`, and wait for Kafka."""
    ACCESS.use(settings)
    health = Health(name, settings.ordinal)
    health.check("kafka", BROKER.why_not)
    async with AsyncExitStack() as stack:
        await stack.enter_async_context(open_ops(health, settings.ops_port))
        await wait_for_broker(settings.kafka_bootstrap_servers, timeout_s=settings.broker_wait_s)
        yield StageProcess(name, settings, health, SystemClock(), stack)
