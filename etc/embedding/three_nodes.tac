"""Three nodes of dkv in one Twisted program. In an empty folder:

    twistd -noy three_nodes.tac

The first start makes the data directories data/node1 to data/node3 there. docs/embedding.md tells more.
"""

from pathlib import Path

from twisted.application.service import Application
from twisted.logger import Logger

from dkv.embedding import create_directories, make_service

CONFIG = Path(__file__).resolve().with_name("cluster.toml")
DATA = {number: Path("data", f"node{number}").resolve() for number in (1, 2, 3)}

log = Logger("three_nodes")
application = Application("three nodes of dkv")

create_directories(CONFIG, DATA)
for number, directory in DATA.items():
    node = make_service(CONFIG, number, directory)
    node.setName(f"node{number}")
    node.setServiceParent(application)

    # A node that fails has closed its ports and its directory, and this program goes on.
    failed = node.whenFailed()
    failed.addCallback(
        lambda error, number=number: log.error("node {number} is gone: {error}", number=number, error=error)
    )
