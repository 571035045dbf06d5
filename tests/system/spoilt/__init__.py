"""Histories that are spoilt in one place each, with the classes that the checker must find, and no others."""
