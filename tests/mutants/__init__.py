"""Mutation testing: each mutant is the product with one small mistake, which some test should notice.

Run by ``tox run -e mutants``. A mutant that survives the unit tests of its room meets the simulator; one that survives
that too is killed by a new test, or listed in docs/mutants.md with the reason why it does no harm.
"""
