#!/usr/bin/python3 -s
"""Gives Python scripts another first line; written for ReqPM's test distribution.

EL's Python packages bring a program of this name, and their %py3_shebang_fix calls it:

    pathfix -pn -i INTERPRETER [-k | -ka FLAGS] PATH…

-p keeps the times, -n makes no backup, -k keeps the flags that are there, and -a adds more.
"""

import argparse
import os
import re

SHEBANG = re.compile(rb"^#! *\S*python[0-9.]*(?: +-(\w+))?[^\n]*\n?")


def rewrite(path, interpreter, keep, more):
    """Writes the first line anew where it names a Python."""
    with open(path, "rb") as f:
        text = f.read()
    match = SHEBANG.match(text)
    if not match:
        return
    had = (match[1] or b"").decode() if keep else ""
    flags = "".join(dict.fromkeys(more + had))
    line = f"#!{interpreter}{' -' + flags if flags else ''}\n".encode()
    stat = os.stat(path)
    with open(path, "wb") as f:
        f.write(line + text[match.end() :])
    os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns))


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("-p", action="store_true")
    parser.add_argument("-n", action="store_true")
    parser.add_argument("-i", required=True)
    parser.add_argument("-k", action="store_true")
    parser.add_argument("-a", default="")
    parser.add_argument("paths", nargs="+")
    options = parser.parse_args()
    for path in options.paths:
        names = [path] if os.path.isfile(path) else [os.path.join(here, f) for here, _, files in os.walk(path) for f in files if f.endswith(".py")]
        for name in names:
            if not os.path.islink(name):
                rewrite(name, options.i, options.k, options.a)


main()
