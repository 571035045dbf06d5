"""Benchmarks: the worker as it ships, on a real Kafka and a real PostgreSQL."""
