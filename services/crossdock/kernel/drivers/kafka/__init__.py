"""The door to Kafka: aiokafka is imported here and nowhere else; its untyped records become `Record` at once."""

from crossdock.kernel.drivers.kafka.admin import (
    may_forget_ends,
    places_of,
    provision,
    topics_of,
    wait_for_broker,
)
from crossdock.kernel.drivers.kafka.broker_health import BROKER
from crossdock.kernel.drivers.kafka.client import probe
from crossdock.kernel.drivers.kafka.consumer import (
    GroupConsumer,
    Position,
    open_group_consumer,
    open_reader,
)
from crossdock.kernel.drivers.kafka.producer import (
    Producer,
    TransactionalProducer,
    open_producer,
    open_transactional_producer,
)
from crossdock.kernel.drivers.kafka.tail import Tail
from crossdock.kernel.drivers.kafka.users import make_user
from crossdock.kernel.process.record import Outgoing, Record, partition_for

__all__ = [
    "BROKER",
    "GroupConsumer",
    "Outgoing",
    "Position",
    "Producer",
    "Record",
    "Tail",
    "TransactionalProducer",
    "make_user",
    "may_forget_ends",
    "open_group_consumer",
    "open_producer",
    "open_reader",
    "open_transactional_producer",
    "partition_for",
    "places_of",
    "probe",
    "provision",
    "topics_of",
    "wait_for_broker",
]
