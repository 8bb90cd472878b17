"""What holds for every refusal of a file."""

import re

import pytest

import graphs

REMEDY = re.compile(
    r"[;,:] (or )?(pass|take|save|write|delete|add|close|give|correct|number|rename|export|use|set"
    r"|call|convert|copy|data|del|drop|if you|if both|put|update|merge|leave)\b"
)


def told(path, **options):
    """Return the message with which a file is refused; it names the file and a remedy."""
    with pytest.raises(ValueError, match="cannot be read") as caught:
        graphs.load(path, **options)
    return checked(path, caught.value)


def checked(path, error):
    message = str(error)
    assert message.startswith(f"{str(path)!r} cannot be read as a connectome: "), message
    assert REMEDY.search(message), message
    return message
