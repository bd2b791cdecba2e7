"""A web page that counts its visits in a node of its own: one program, and nothing else to start. In an empty folder:

    twistd -noy web_counter.tac

The page is at http://127.0.0.1:5080/. docs/embedding.md tells more.
"""

from pathlib import Path

from twisted.application.internet import StreamServerEndpointService
from twisted.application.service import Application, Service
from twisted.internet import reactor
from twisted.internet.endpoints import serverFromString
from twisted.web.resource import Resource
from twisted.web.server import NOT_DONE_YET, Site

from dkv.client.twisted import Client
from dkv.embedding import create_directories, make_service

CONFIG = Path(__file__).resolve().with_name("one_node.toml")
DATA = Path("data", "counter").resolve()


class Counter(Resource):
    isLeaf = True

    def __init__(self, client):
        super().__init__()
        self.client = client

    def render_GET(self, request):
        counted = self.client.incr("visits")
        counted.addCallback(lambda visits: b"visit %d\n" % visits)
        counted.addErrback(lambda failure: failure.getErrorMessage().encode() + b"\n")
        counted.addCallback(request.write)
        counted.addCallback(lambda _: request.finish())
        return NOT_DONE_YET


class ClientService(Service):
    """Hangs up when the program stops."""

    def __init__(self, client):
        self.client = client

    def stopService(self):
        return self.client.close()


client = Client("127.0.0.1:5001")
create_directories(CONFIG, {1: DATA})
application = Application("counter")
for service in (
    make_service(CONFIG, 1, DATA),
    ClientService(client),
    StreamServerEndpointService(serverFromString(reactor, "tcp:5080:interface=127.0.0.1"), Site(Counter(client))),
):
    service.setServiceParent(application)
