"""The edge to Kafka: topics, subscriptions, partitions in hand, transactions."""
