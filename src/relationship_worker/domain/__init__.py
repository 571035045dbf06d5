"""The rules of the business: values in, values out; no I/O, no clock, no framework."""
