"""The user of the stages on the node of this machine."""

from crossdock.kernel.drivers.kafka import make_user, probe, wait_for_broker
from crossdock.kernel.process.errors import LogRefusedError
from crossdock.kernel.process.kafka_settings import ACCESS
from crossdock.local.kafka import USER, KafkaNode


async def let_in(node: KafkaNode, password: str, *, timeout_s: float) -> None:
    """Connect this process as the stages do. A node without their user, as after an upgrade, gets it first.

    Raises:
        LogError: if the node does not answer, or refuses.
    """
    servers = node.bootstrap_servers
    ACCESS.use(node.admin())
    await wait_for_broker(servers, timeout_s=timeout_s)
    ACCESS.use(node.access(password))
    if isinstance(await probe(servers), LogRefusedError):
        await make_user(node.admin(), USER, password)
        await wait_for_broker(servers, timeout_s=timeout_s)
