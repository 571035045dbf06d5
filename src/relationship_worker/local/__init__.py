"""A real Kafka and a real PostgreSQL on loopback, from wheels; and the demo that runs on them."""
