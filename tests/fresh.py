"""Runs lines of Python, each in a process that knows nothing of the studio and has only opened large libraries.

To open torch and transformers takes longer than what the lines do with them: this process opens them once, and forks
for each request. One line of JSON a request, one line of JSON, the exit code, an answer.
"""

import importlib
import json
import os
import subprocess
import sys
import traceback
from pathlib import Path

LIBRARIES = (
    "torch", "transformers.models.auto.modeling_auto", "transformers.models.bert.modeling_bert",
    "transformers.models.resnet.modeling_resnet", "transformers.models.auto.tokenization_auto",
    "onnxruntime", "PIL.Image", "safetensors.torch",
)  # fmt: skip


class Fresh:
    """Such a process, and how to ask it."""

    def __init__(self) -> None:
        command = [sys.executable, "-P", __file__]  # without the folder of this file, in which it could find more
        self._server = subprocess.Popen(command, cwd="/", text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE)

    def run(self, lines: str, folder: Path) -> str:
        """What the lines print, called in a folder as `python -c` would."""
        assert self._server.stdin is not None
        assert self._server.stdout is not None
        log = folder.with_suffix(".log")
        print(json.dumps((lines, str(folder), str(log))), file=self._server.stdin, flush=True)
        code, said = json.loads(self._server.stdout.readline()), log.read_text()
        assert code == 0, said
        return said

    def close(self) -> None:
        assert self._server.stdin is not None
        self._server.stdin.close()
        self._server.wait()


def main() -> None:
    for name in LIBRARIES:
        importlib.import_module(name)
    assert "studio" not in sys.modules
    for line in sys.stdin:
        child = os.fork()
        if child == 0:
            _run(*json.loads(line))
        _, status = os.waitpid(child, 0)
        print(json.dumps(os.waitstatus_to_exitcode(status)), flush=True)


def _run(lines: str, folder: str, log: str) -> None:
    """In the child: the lines, and nothing after them."""
    os.chdir(folder)
    sys.path.insert(0, "")
    sys.stdout = Path(log).open("w")  # noqa: SIM115  it is open as long as the process lives
    code = 0
    try:
        exec(lines, {"__name__": "__main__"})
    except BaseException:  # noqa: BLE001  whatever it is, it is told
        code = 1
        traceback.print_exc(file=sys.stdout)
    sys.stdout.flush()
    os._exit(code)


if __name__ == "__main__":
    main()
