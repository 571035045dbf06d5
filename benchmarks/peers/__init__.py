"""What a team would write or pick instead of the worker, each as somebody who knows it would write it.

A peer reads its course from the environment: BENCH_BOOTSTRAP_SERVERS, BENCH_ORDERS (topic), BENCH_OUTPUT (topic),
BENCH_GROUP, BENCH_NUMBERS (a JSON file: "supplier/customer" to number). It runs until SIGTERM and commits its group's
offsets at least every half second: that is how its progress is measured.
"""
