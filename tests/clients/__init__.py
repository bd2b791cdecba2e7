"""The matrix: clients and libraries, each with a program that uses it while the leader is killed.

``python -m tests.clients`` runs it. ``entries`` has the table of programs, ``programs`` has them, ``runner`` runs one,
``page`` writes their results into docs/clients.md and takes the examples of that page as programs.
"""
