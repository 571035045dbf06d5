"""PostgreSQL: what the worker remembers, one module per thing remembered."""
