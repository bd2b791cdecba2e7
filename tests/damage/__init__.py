"""What damage to the files of a node does to its cluster: each outcome is "detected" or "harmless".

``python -m tests.damage`` strikes a directory of three-node cluster at sampled places and judges what comes of it.
"""
