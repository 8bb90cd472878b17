"""Commands in processes of their own, and the workers that they start."""

import signal
import subprocess
import time


def workers_of(pid):
    """The processes that a process has started, and those that they have."""
    found = subprocess.run(["ps", "-eo", "pid=,ppid="], capture_output=True, text=True, check=True)
    parents = dict(map(int, line.split()) for line in found.stdout.splitlines())
    family = {pid}
    for _ in range(3):
        family |= {each for each, parent in parents.items() if parent in family}
    return family - {pid}


def are_gone(pids):
    """Whether all of some processes end; those that nobody has waited for yet have."""
    for _ in range(600):
        listed = subprocess.run(
            ["ps", "-o", "stat=", "-p", ",".join(map(str, pids))],
            capture_output=True,
            text=True,
            check=False,
        )
        if all(state.startswith("Z") for state in listed.stdout.split()):
            return True
        time.sleep(0.1)
    return False


def _heed_signals():
    """Undo what nohup and background jobs of a shell set: processes inherit ignored signals."""
    for name in ("SIGINT", "SIGTERM", "SIGHUP"):
        signal.signal(signal.Signals[name], signal.SIG_DFL)


def begin(command, table):
    """Start a command, and wait until its table has a finished training."""
    process = subprocess.Popen(
        command,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=_heed_signals,  # noqa: PLW1509  # it calls nothing that takes a lock
    )
    deadline = time.monotonic() + 600
    while process.poll() is None and time.monotonic() < deadline:
        if table.exists() and table.read_bytes().count(b"\n") > 1:
            break
        time.sleep(0.05)
    return process
