"""The worker as a whole, judged from outside: seeded scenarios, real processes that are killed, and a checker."""
