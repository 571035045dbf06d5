#!/bin/sh
# The rights of the worker's users at Kafka, and no more than they need. Made by `relationship-worker kafka-acls`.
# KAFKA_ACLS: Kafka's tool with whatever leads it to the brokers, for example
#   KAFKA_ACLS="kafka-acls.sh --bootstrap-server kafka:9093 --command-config admin.properties" sh kafka-acls.sh
# The users are set likewise; one user may have several roles. Rights that are there already stay as they are.
set -eu
KAFKA_ACLS="${KAFKA_ACLS:-kafka-acls.sh --bootstrap-server localhost:9092}"
INIT="${INIT:-User:relationship-worker-init}"
RUN="${RUN:-User:relationship-worker-run}"
REPLAY="${REPLAY:-User:relationship-worker-replay}"
DESK="${DESK:-User:relationship-worker-desk}"
ERP="${ERP:-User:relationship-worker-erp}"

# `init`: makes topics, and alters none
$KAFKA_ACLS --add --allow-principal "$INIT" --operation Create --topic 'connection-requests' --topic 'relationship-decisions' --topic 'orders' --topic 'enriched-orders' --topic 'relationship-events' --topic 'reminders' --topic 'dead-letters' --topic 'relationship-worker.outbox'
$KAFKA_ACLS --add --allow-principal "$INIT" --operation Describe --topic 'connection-requests' --topic 'relationship-decisions' --topic 'orders' --topic 'enriched-orders' --topic 'relationship-events' --topic 'reminders' --topic 'dead-letters' --topic 'relationship-worker.outbox'
$KAFKA_ACLS --add --allow-principal "$INIT" --operation DescribeConfigs --topic 'connection-requests' --topic 'relationship-decisions' --topic 'orders' --topic 'enriched-orders' --topic 'relationship-events' --topic 'reminders' --topic 'dead-letters'

# `run`
$KAFKA_ACLS --add --allow-principal "$RUN" --operation DescribeConfigs --topic 'connection-requests' --topic 'relationship-decisions' --topic 'orders'
$KAFKA_ACLS --add --allow-principal "$RUN" --operation Read --group 'relationship-worker'
$KAFKA_ACLS --add --allow-principal "$RUN" --operation Read --topic 'connection-requests' --topic 'relationship-decisions' --topic 'orders' --topic 'relationship-worker.outbox' --topic 'enriched-orders' --topic 'relationship-events' --topic 'reminders' --topic 'dead-letters'
$KAFKA_ACLS --add --allow-principal "$RUN" --operation Write --topic 'enriched-orders' --topic 'relationship-events' --topic 'reminders' --topic 'dead-letters'
$KAFKA_ACLS --add --allow-principal "$RUN" --operation Write --resource-pattern-type prefixed --transactional-id 'relationship-worker.orders.' --transactional-id 'relationship-worker.relationship-worker.outbox.'

# `dead-letters replay`
$KAFKA_ACLS --add --allow-principal "$REPLAY" --operation Describe --group 'relationship-worker'
$KAFKA_ACLS --add --allow-principal "$REPLAY" --operation Describe --topic 'relationship-worker.outbox'
$KAFKA_ACLS --add --allow-principal "$REPLAY" --operation DescribeConfigs --topic 'connection-requests' --topic 'relationship-decisions' --topic 'orders'
$KAFKA_ACLS --add --allow-principal "$REPLAY" --operation Read --group 'relationship-worker.dead-letters'
$KAFKA_ACLS --add --allow-principal "$REPLAY" --operation Read --topic 'dead-letters' --topic 'connection-requests' --topic 'relationship-decisions' --topic 'orders'
$KAFKA_ACLS --add --allow-principal "$REPLAY" --operation Write --topic 'connection-requests' --topic 'relationship-decisions' --topic 'orders'
$KAFKA_ACLS --add --allow-principal "$REPLAY" --operation Write --resource-pattern-type prefixed --transactional-id 'relationship-worker.dead-letters.'

# commands that look: `explain`, `shadow`, `dead-letters list`, `show`, `edit`, `discard`
$KAFKA_ACLS --add --allow-principal "$DESK" --operation Read --topic 'enriched-orders' --topic 'orders' --topic 'dead-letters'

# whoever reads what came out
$KAFKA_ACLS --add --allow-principal "$ERP" --operation Read --resource-pattern-type prefixed --group 'erp-'
$KAFKA_ACLS --add --allow-principal "$ERP" --operation Read --topic 'enriched-orders' --topic 'relationship-events' --topic 'reminders'
