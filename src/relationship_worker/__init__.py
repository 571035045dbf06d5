"""Keeps supplier-customer relationships and puts the right customer number onto every order."""
