"""An engine whose process dies of images that begin with a pixel of 99, and a server that has it."""

DEADLY = 99
PROGRAM = f"""
import os, signal, sys
sys.path.insert(0, sys.argv[1])
from export.server.model.engine import network, worker
segment = network.Network.segment
def fragile(self, images):
    if (images[:, 0, 0] == {DEADLY}).all(axis=-1).any():
        os.kill(os.getpid(), signal.SIGKILL)
    return segment(self, images)
network.Network.segment = fragile
worker.main()
"""

if __name__ == "__main__":
    from export import serve
    from export.server.model.engine import process

    process._PROGRAM = PROGRAM
    serve.console()
