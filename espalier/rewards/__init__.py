"""Rewards: numbers that follow from a completion by a rule, without a judge; one method a file."""
