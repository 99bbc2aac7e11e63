"""Runs in the proof root: tries the imports of every installed package, then one command.

argv[1] is JSON: {"imports": {package: [module, ...]}, "command": "shell text or empty"}.
Prints one JSON document: {"imported": [...], "failed": {package: error}, "command": {...}}.
Each package is imported by an interpreter of its own, as a user's program would.
"""
import concurrent.futures
import json
import os
import subprocess
import sys


def run(argv, timeout):
    env = dict(os.environ, HOME="/tmp", PYTHONDONTWRITEBYTECODE="1")
    try:
        done = subprocess.run(argv, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                              timeout=timeout, env=env, cwd="/tmp")
    except subprocess.TimeoutExpired:
        return 124, "no end within %d s" % timeout
    return done.returncode, done.stdout.decode("utf-8", "replace")


def try_import(item):
    package, modules = item
    code = "import importlib, sys\nfor m in sys.argv[1:]: importlib.import_module(m)"
    status, text = run([sys.executable, "-c", code] + modules, 120)
    if status == 0:
        return package, None
    lines = [line for line in text.strip().splitlines() if line.strip()]
    return package, (lines[-1] if lines else "exit status %d" % status)[:300]


def main():
    job = json.loads(sys.argv[1])
    result = {"imported": [], "failed": {}}
    with concurrent.futures.ThreadPoolExecutor(max_workers=os.cpu_count() or 1) as pool:
        for package, error in pool.map(try_import, sorted(job["imports"].items())):
            if error is None:
                result["imported"].append(package)
            else:
                result["failed"][package] = error
    if job["command"]:
        status, text = run(["/bin/sh", "-c", job["command"]], 300)
        result["command"] = {"status": status, "output": text[-4000:]}
    json.dump(result, sys.stdout)


main()
