"""Topics: made where they are missing, checked where they are there, never altered."""

import asyncio
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType
from aiokafka.errors import (
    KafkaError,
    TopicAlreadyExistsError,
    TopicAuthorizationFailedError,
    UnknownTopicOrPartitionError,
    for_code,
)

from relationship_worker.kafka.connection import Connection
from relationship_worker.kafka.metadata import topics
from relationship_worker.messages.outgoing import (
    DEAD_LETTERS,
    ENRICHED_ORDERS,
    INPUT_TOPICS,
    MAX_MESSAGE_BYTES,
    ORDERS,
    OUTPUT_TOPICS,
)

DAY_MS = 24 * 3600 * 1000
SHOWN_LOOK = 0.1  # seconds between two looks whether new topics are shown
SHOWN_LOOKS = 200  # twenty seconds; it takes milliseconds, unless the brokers are very busy
BROKER_DEFAULT = -1  # what Kafka takes for "as the broker is set"


@dataclass(frozen=True, kw_only=True)
class TopicSettings:
    """What `init` gives a topic that it makes. None: the broker's default.

    `ids_kept_days`: for how many days the worker knows an input topic's events again.
    """

    partitions: int
    ids_kept_days: Mapping[str, int]
    replication: int | None = None
    min_insync_replicas: int | None = None


@dataclass(frozen=True, kw_only=True)
class TopicReport:
    """What `init` found: topics made, and what is not as the worker needs it (a sentence each)."""

    made: list[str] = field(default_factory=list)
    differ: list[str] = field(default_factory=list)


class TopicsMissing(Exception):
    """Topics that the worker needs are not there; the message names them and says what to do."""


async def make_topics(kafka: Connection, settings: TopicSettings) -> TopicReport:
    """Make what is missing. Repeatable; what is there is compared, named where it differs, and left alone."""
    admin = AIOKafkaAdminClient(**kafka.client_options())
    await admin.start()
    try:
        names = [kafka.topic(name) for name in (*INPUT_TOPICS, *OUTPUT_TOPICS)]
        there = await _partitions(admin, [*names, kafka.outbox_topic])
        wanted = {kafka.topic(name): settings.partitions for name in INPUT_TOPICS}
        orders = there.get(kafka.topic(ORDERS), settings.partitions)
        for name in OUTPUT_TOPICS:
            # An enriched order goes to the partition of the same number: as many as there are of orders.
            wanted[kafka.topic(name)] = orders if name == ENRICHED_ORDERS else settings.partitions
        wanted[kafka.outbox_topic] = settings.partitions
        report = TopicReport()
        for topic, partitions in wanted.items():
            if topic not in there and await _make(admin, topic, partitions, kafka.plain(topic), settings):
                report.made.append(topic)
        await _shown(admin, report.made)
        found = [kafka.topic(name) for name in (*INPUT_TOPICS, *OUTPUT_TOPICS) if kafka.topic(name) in there]
        outputs = {kafka.topic(name) for name in OUTPUT_TOPICS}
        report.differ.extend(await _differences(admin, found, outputs, settings))
        report.differ.extend(await _kept_longer(admin, kafka, settings.ids_kept_days))
        return report
    finally:
        await admin.close()


async def topics_kept_longer(kafka: Connection, ids_kept_days: Mapping[str, int]) -> list[str]:
    """A sentence for each input topic that keeps its records longer than the worker knows their events again."""
    admin = AIOKafkaAdminClient(**kafka.client_options())
    await admin.start()
    try:
        return await _kept_longer(admin, kafka, ids_kept_days)
    finally:
        await admin.close()


async def _kept_longer(admin: AIOKafkaAdminClient, kafka: Connection, ids_kept_days: Mapping[str, int]) -> list[str]:
    found: list[str] = []
    resources = [ConfigResource(ConfigResourceType.TOPIC, kafka.topic(name)) for name in ids_kept_days]
    for response in await admin.describe_configs(resources):
        for topic, values in _configs(response):
            kept = int(values.get("retention.ms") or 0)
            days = ids_kept_days[kafka.plain(topic)]
            if kept < 0 or kept > days * DAY_MS:
                shown = "for ever" if kept < 0 else f"for {kept / DAY_MS:g} days"
                found.append(
                    f"{topic}: records are kept {shown} (retention.ms), their ids for {days} days: an older record that is "
                    "read again would have a second effect. Shorten the one, or lengthen the other"
                )
    return found


async def _make(admin: AIOKafkaAdminClient, topic: str, partitions: int, name: str, settings: TopicSettings) -> bool:
    config = {}
    if name in OUTPUT_TOPICS:
        config["max.message.bytes"] = str(MAX_MESSAGE_BYTES)
    if settings.min_insync_replicas is not None:
        config["min.insync.replicas"] = str(settings.min_insync_replicas)
    if name == DEAD_LETTERS:
        config["retention.ms"] = str(14 * DAY_MS)  # they hold personal data, and somebody must look
    new = NewTopic(topic, partitions, settings.replication or 1, topic_configs=config)
    if settings.replication is None:
        new.replication_factor = BROKER_DEFAULT  # the constructor does not know it, the protocol does
    response = await admin.create_topics([new])
    for error in response.topic_errors:
        code, detail = error[1], error[2] if len(error) > 2 else ""
        kind = for_code(code)
        if kind is TopicAlreadyExistsError:
            return False
        if kind is TopicAuthorizationFailedError:
            raise kind(topic)
        if code:
            raise KafkaError(f"the topic {topic} could not be made: {kind.__name__} {detail or ''}".strip())
    return True


async def _shown(admin: AIOKafkaAdminClient, topics: Collection[str]) -> None:
    """Wait until the broker shows them: it makes topics first and knows of them later, and a worker that starts at once would
    find them missing."""
    for _ in range(SHOWN_LOOKS):
        if (await _partitions(admin, topics)).keys() >= set(topics):
            return
        await asyncio.sleep(SHOWN_LOOK)


async def _differences(
    admin: AIOKafkaAdminClient, there: Collection[str], outputs: Collection[str], settings: TopicSettings
) -> list[str]:
    found: list[str] = []
    if not there:
        return found
    resources = [ConfigResource(ConfigResourceType.TOPIC, topic) for topic in there]
    for response in await admin.describe_configs(resources):
        for topic, values in _configs(response):
            if "compact" in values.get("cleanup.policy", ""):
                found.append(
                    f"{topic}: cleanup.policy is {values['cleanup.policy']}, which loses all but a key's last record"
                )
            if topic not in outputs:
                continue
            size = int(values.get("max.message.bytes", 0))
            if size < MAX_MESSAGE_BYTES:
                found.append(f"{topic}: max.message.bytes is {size}, large dead letters need {MAX_MESSAGE_BYTES}")
            replicas = values.get("min.insync.replicas")
            if settings.min_insync_replicas is not None and replicas != str(settings.min_insync_replicas):
                found.append(f"{topic}: min.insync.replicas is {replicas}, wanted are {settings.min_insync_replicas}")
    return found


async def partition_counts(kafka: Connection, *names: str) -> dict[str, int]:
    """How many partitions these topics have, or else all of the worker's, by the names in the contract (the outbox by its
    full name). Raises TopicsMissing, KafkaError.
    """
    wanted = {name: kafka.topic(name) for name in names or (*INPUT_TOPICS, *OUTPUT_TOPICS)}
    if not names or kafka.outbox_topic in names:
        wanted[kafka.outbox_topic] = kafka.outbox_topic
    admin = AIOKafkaAdminClient(**kafka.client_options())
    await admin.start()
    try:
        there = await _partitions(admin, list(wanted.values()))
    finally:
        await admin.close()
    missing = sorted(topic for topic in wanted.values() if topic not in there)
    if missing:
        raise TopicsMissing(f"topics are missing: {', '.join(missing)}: run `relationship-worker init`")
    return {name: there[topic] for name, topic in wanted.items()}


async def _partitions(admin: AIOKafkaAdminClient, wanted: Collection[str]) -> Mapping[str, int]:
    """Of those that are there. Raises KafkaError, also where one may not be seen: nobody would know whether it is there."""
    seen = await topics(admin, wanted)
    unseen = sorted(set(wanted) - set(seen))
    if unseen:
        raise TopicAuthorizationFailedError(unseen)
    return {name: topic.partitions for name, topic in seen.items() if topic.partitions is not None}


def _configs(response: Any) -> Iterator[tuple[str, dict[str, str]]]:
    """Settings by topic, of those that are there. Raises KafkaError where one may not be seen."""
    for error, _, _, topic, entries in response.resources:
        if error == UnknownTopicOrPartitionError.errno:  # so too one that was made a moment ago
            continue
        if error:
            raise for_code(error)(topic)
        yield topic, {entry[0]: entry[1] for entry in entries}


async def largest_record(kafka: Connection, topic: str) -> int:
    """Bytes that a batch of the topic may have (`topic`: its name in the contract). Raises TopicsMissing."""
    admin = AIOKafkaAdminClient(**kafka.client_options())
    await admin.start()
    try:
        resource = ConfigResource(ConfigResourceType.TOPIC, kafka.topic(topic))
        for response in await admin.describe_configs([resource]):
            for _, values in _configs(response):
                if values.get("max.message.bytes"):
                    return int(values["max.message.bytes"])
    finally:
        await admin.close()
    raise TopicsMissing(f"topics are missing: {kafka.topic(topic)}: run `relationship-worker init`")
