"""Tie this process to its parent and to a pid file, then become another program.

    python leash.py PID_FILE PARENT PROGRAM [ARGUMENT...]

The lock on the pid file outlives `exec` and dies with the process, so "locked" means
"the process named here is really ours": a process id alone may be somebody else's by
the time it is read. Where Linux offers it, the parent's death ends us too. Doing this
here, in a fresh process, spares the parent code between fork and exec, which is unsafe
in a process with threads. Runs as a file with `python -I -S`: standard library only.
"""

import ctypes
import fcntl
import os
import signal
import sys

PR_SET_PDEATHSIG = 1


def main() -> None:
    """Take the lock, ask for the parent's death signal, become the program."""
    pid_file, parent, *command = sys.argv[1:]
    lock = os.open(pid_file, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        sys.exit(f"{pid_file} is held by a process of an earlier run")
    os.ftruncate(lock, 0)
    os.write(lock, f"{os.getpid()}\n".encode())
    os.set_inheritable(lock, True)
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
    if os.getppid() != int(parent):
        sys.exit("the parent is gone already")
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)  # Python ignores it, exec keeps that
    try:
        os.execvp(command[0], command)
    except OSError as error:
        sys.exit(f"cannot start {command[0]}: {error.strerror}")


if __name__ == "__main__":
    main()
