"""Runs in the proof root: tries the imports of every installed package, then one command.

argv[1] is JSON: {"imports": {package: [module, ...]}, "distribution": [package, ...], "command": "shell text or empty"}.
Prints one JSON document: {"imported": [...], "failed": {package: error}, "versions": {package: version}, "command": {...}}.
What the distribution's own packages hold only their metadata tells, here.
Each package is imported by an interpreter of its own, as a user's program would.
"""
import concurrent.futures
import importlib.util
import json
import os
import subprocess
import sys

try:
    from importlib import metadata
except ImportError:  # before Python 3.8
    metadata = None


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


def of_distribution(package):
    """The version of a package and its modules, as its metadata has them; None without metadata."""
    try:
        found = metadata.distribution(package)
    except metadata.PackageNotFoundError:
        return "", []
    modules = (found.read_text("top_level.txt") or "").split()
    if not modules:
        tops = {path.parts[0] for path in found.files or [] if path.suffix in (".py", ".so")}
        modules = sorted(top.split(".")[0] for top in tops if "-" not in top and top != "..")
    if not modules and importlib.util.find_spec(package.replace("-", "_")):
        modules = [package.replace("-", "_")]
    return found.version, [name for name in modules if not name.startswith("_") and "/" not in name]


def main():
    job = json.loads(sys.argv[1])
    result = {"imported": [], "failed": {}, "versions": {}}
    for package in job["distribution"] if metadata else []:
        result["versions"][package], modules = of_distribution(package)
        if modules:
            job["imports"][package] = modules
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
