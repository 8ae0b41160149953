"""Two workers that train together: `python two_workers.py train.py OPTIONS`; its calls are those of both."""

import contextlib
import json
import os
import runpy
import socket
import sys


def main(words):
    """Runs both and returns the exit status of the one that says most, which is not killed if the other is."""
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(2)]
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        addresses = [f"127.0.0.1:{each.getsockname()[1]}" for each in sockets]
    children = []
    for index in range(2):
        if not (child := os.fork()):
            place = {"type": "worker", "index": index}
            os.environ["TF_CONFIG"] = json.dumps({"cluster": {"worker": addresses}, "task": place})
            sys.argv = words
            runpy.run_path(words[0], run_name="__main__")
        children.append(child)
    return max(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
