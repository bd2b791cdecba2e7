"""x"""


def picture(*a, **k):
    return ""
