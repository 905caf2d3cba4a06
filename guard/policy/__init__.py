"""Policies as data and the pure decision over findings."""
