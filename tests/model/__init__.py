"""A plain model of the contract, in memory: what the worker has to say, worked out a second time.

It is written from the pages that say what must be true and shares no code with the worker. It is slow and obvious:
whoever doubts it should be able to hold each module against the page it was read from.
"""
