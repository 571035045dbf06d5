"""The wire: what comes in and what goes out, as the contract has it."""
