"""What a crowd of workers came to, in figures, and what of it is beyond its bounds."""

import os
from statistics import median

from roads.driving import ORDERS
from system.crowd import Found, Shape, Step

DATABASE_CONNECTIONS = 10  # of a worker, at most: the setting's default
OF_A_WORKER = 8  # connections to one broker that each worker has, whatever its partitions
OF_A_LANE = 3  # of each partition with a producer of its own: to its broker and to two coordinators
REBALANCES_PER_CHANGE = 2  # a member that comes amid a rebalance, or goes, makes another
LONGEST_WAIT = 120.0  # seconds; session, hand-over and opening take a tenth of it on a machine that has time for them


def beyond_bounds(found: Found) -> list[str]:
    """All that is not as it has to be; nothing where it is."""
    bad = [*found.wrong[:10], *found.ended, *found.troubles, *found.not_ready]
    for step, group in zip(found.steps, found.groups, strict=True):
        topics = {topic for held in group.held.values() for topic in held}
        for topic in (*sorted(topics), None):
            most, least = group.most_and_least(topic)
            if most - least > 1:
                bad.append(f"{step.what}: one has {most} partitions of {topic or 'all'}, another {least}")
        orders = sum(held[topic] for held in group.held.values() for topic in held if topic.endswith(ORDERS))
        if orders < found.shape.partitions:
            bad.append(f"{step.what}: {found.shape.partitions - orders} partitions of orders are in nobody's hands")
        if step.rebalances > REBALANCES_PER_CHANGE * _changes(found.shape, step):
            bad.append(f"{step.what}: {step.rebalances} rebalances")
        if step.waits[-1] > LONGEST_WAIT:
            bad.append(f"{step.what}: an order waited for {step.waits[-1]:.1f} s")
    for what, have, most in (
        ("to PostgreSQL", found.connections.postgres, most_to_postgres(found.shape)),
        ("to Kafka", found.connections.kafka, most_to_kafka(found.shape)),
    ):
        if have > most:
            bad.append(f"{have} connections {what}, where {most} are the most")
    return bad


def most_to_postgres(shape: Shape) -> int:
    """Connections of all workers."""
    return shape.workers * DATABASE_CONNECTIONS


def most_to_kafka(shape: Shape) -> int:
    """Connections of all workers to a broker that is alone."""
    lanes = shape.partitions * (1 if shape.orders_alone else 2)  # orders, and the outbox
    return shape.workers * OF_A_WORKER + lanes * OF_A_LANE


def _changes(shape: Shape, step: Step) -> int:
    """How many came or went in the step."""
    return 1 if step.what.startswith("the first") else int(step.what.split()[0])


def report(found: Found) -> str:
    """For a person."""
    lines = [f"{'step':38}{'members':>8}{'rebalances':>12}{'at rest':>10}{'an order waited, by partition':>32}"]
    for step in found.steps:
        waited = f"median {median(step.waits):.1f}, longest {step.waits[-1]:.1f} s"
        lines.append(f"{step.what:38}{step.members:8}{step.rebalances:12}{step.seconds:8.1f} s{waited:>32}")
    for step, group in zip(found.steps, found.groups, strict=True):
        topics = sorted({topic for held in group.held.values() for topic in held})
        spread = [(topic.rpartition(".")[2], *group.most_and_least(topic)) for topic in topics]
        shares = ", ".join(f"{topic} {_range(least, most)}" for topic, most, least in spread)
        lines.append(f"each has, once {step.what}: {shares}")
    connections, shape = found.connections, found.shape
    lines += [
        f"connections at their most: PostgreSQL {connections.postgres} (bound {most_to_postgres(shape)}), "
        f"Kafka {connections.kafka} (bound {most_to_kafka(shape)}; one worker {connections.kafka_of_one})",
        f"memory at rest: a worker {min(found.memory_mib):.0f} to {max(found.memory_mib):.0f} MiB, "
        f"together {sum(found.memory_mib):.0f}; the broker {found.broker_mib:.0f}",
        "CPU while orders trickle: " + ", ".join(f"{who} {cores:.2f} cores" for who, cores in found.cpu.items()),
        f"load of the machine, {os.cpu_count()} cores: {', '.join(f'{load:.0f}' for load in found.load)}",
        f"{found.orders} orders and {found.events} events told, {found.not_caught_up} orders flagged not caught up",
    ]
    bad = beyond_bounds(found)
    verdict = "not as it has to be" if bad else "all as it has to be"
    return "\n".join([*lines, *(f"BAD {what}" for what in bad), verdict])


def _range(least: int, most: int) -> str:
    return f"{least}" if most == least else f"{least} to {most}"
