"""Makes ``twistd dkvnode`` known. The folders above have no __init__.py: Twisted's own package spans them."""

from twisted.application.service import ServiceMaker

serviceMaker = ServiceMaker(  # type: ignore[no-untyped-call]  # Twisted's plugins have no annotations
    "dkv node", "dkv.node.service", "Run one node of a dkv cluster.", "dkvnode"
)
