"""The roads: orders, relationships, reminders and the relay; one file, one road, readable top to bottom."""
