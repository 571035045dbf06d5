"""What a person at a desk may ask: read from stored facts, shown in a terminal or as JSON."""
