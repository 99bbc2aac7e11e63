"""What the %pyproject macros of ReqPM's test distribution do.

Written from the documented behaviour of the macros and from PEP 517, 518, 621, 427 and 376;
no line of the originals is here. One command per macro:

    buildrequires   prints requirements, one a line, as rpm reads them
    installed       finishes what "pip install --root" left: INSTALLER, RECORD
    save-files      writes the %files list and the list of modules
    check-import    imports the modules
"""

import argparse
import contextlib
import csv
import fnmatch
import importlib
import importlib.metadata
import os
import pathlib
import re
import subprocess
import sys
import tempfile
import tomllib


def say(*words):
    print(*words, file=sys.stderr)


# --- requirements as rpm reads them ---------------------------------------------------


def rpm_version(text):
    """A PEP 440 version as the dist generator writes it."""
    from packaging.version import Version

    v = Version(text)
    release = list(v.release)
    while len(release) > 1 and release[-1] == 0:
        release.pop()
    out = (f"{v.epoch}:" if v.epoch else "") + ".".join(map(str, release))
    if v.pre:
        out += "~" + "".join(map(str, v.pre))
    elif v.dev is not None:
        out += f"~~dev{v.dev}"
    elif v.post is not None:
        out += f"^post{v.post}"
    return out


def next_release(text):
    """1.4 -> 1.5: where a wildcard ends."""
    parts = [int(p) for p in re.sub(r"[^0-9.].*", "", text).split(".") if p]
    parts[-1] += 1
    return ".".join(map(str, parts))


def clauses(name, spec):
    op, version = spec.operator, spec.version
    if op in ("==", "!=") and version.endswith(".*"):
        low, high = rpm_version(version[:-2]), rpm_version(next_release(version[:-2]))
        if op == "==":
            return [f"{name} >= {low}", f"{name} < {high}"]
        return [f"({name} < {low} or {name} >= {high})"]
    if op == "~=":
        stem = version.rsplit(".", 1)[0]
        return [f"{name} >= {rpm_version(version)}", f"{name} < {rpm_version(next_release(stem))}"]
    v = rpm_version(version)
    if op in ("==", "==="):
        return [f"{name} = {v}"]
    if op == "!=":
        return [f"({name} < {v} or {name} > {v})"]
    if op == "<" and not any(c in v for c in "~^"):
        return [f"{name} < {v}~~"]
    return [f"{name} {op} {v}"]


def rpm_requirement(req, prefix):
    stem = re.sub(r"[-_.]+", "-", req.name).lower()
    names = [f"{prefix}dist({stem})"] + [f"{prefix}dist({stem}[{e.lower()}])" for e in sorted(req.extras)]
    out = []
    for name in names:
        parts = [c for spec in sorted(req.specifier, key=str) for c in clauses(name, spec)]
        out.append(name if not parts else parts[0] if len(parts) == 1 else "(" + " with ".join(parts) + ")")
    return out


# --- %pyproject_buildrequires ---------------------------------------------------------


class Missing(Exception):
    """Something asked for is not installed: rpmbuild installs it and asks again."""


class Asker:
    def __init__(self, prefix, extras):
        self.prefix, self.extras = prefix, {e for value in extras for e in value.split(",") if e}
        self.printed = set()

    def wants(self, text, source):
        from packaging.requirements import InvalidRequirement, Requirement

        try:
            req = Requirement(text)
        except InvalidRequirement as err:
            raise SystemExit(f"{source}: cannot read the requirement {text!r}: {err}")
        if req.url:
            raise SystemExit(f"{source}: {text!r} names a URL; a build uses nothing but packages")
        if req.marker and not any(req.marker.evaluate({"extra": e}) for e in self.extras | {""}):
            say(f"{source}: {text}: not for this Python or extra")
            return True
        for line in rpm_requirement(req, self.prefix):
            if line not in self.printed:
                self.printed.add(line)
                print(line, file=self.out)
        return self.installed(req)

    def installed(self, req):
        try:
            have = importlib.metadata.version(req.name)
        except importlib.metadata.PackageNotFoundError:
            say(f"requirement {req} is not installed")
            return False
        good = req.specifier.contains(have, prereleases=True)
        say(f"requirement {req}: {have} is installed" + ("" if good else ", which does not do"))
        return good

    def all(self, texts, source):
        if not all([self.wants(t, source) for t in texts]):
            raise Missing(source)


def backend_of(table):
    for path in table.get("backend-path", []):
        sys.path.insert(0, os.path.join(os.getcwd(), path))
    name, _, attrs = table.get("build-backend", "setuptools.build_meta:__legacy__").partition(":")
    backend = importlib.import_module(name)
    for attr in filter(None, attrs.split(".")):
        backend = getattr(backend, attr)
    return backend


def run_time(backend):
    """Requires-Dist, from the cheapest hook there is."""
    with tempfile.TemporaryDirectory() as tmp:
        if hasattr(backend, "prepare_metadata_for_build_wheel"):
            info = os.path.join(tmp, backend.prepare_metadata_for_build_wheel(tmp))
        else:
            wheel = os.path.join(tmp, backend.build_wheel(tmp))
            subprocess.run([sys.executable, "-m", "zipfile", "-e", wheel, tmp], check=True)
            info = str(next(pathlib.Path(tmp).glob("*.dist-info")))
        return importlib.metadata.PathDistribution(pathlib.Path(info)).requires or []


def ask(asker, options):
    table = {}
    if os.path.exists("pyproject.toml"):
        with open("pyproject.toml", "rb") as f:
            table = tomllib.load(f).get("build-system", {})
    elif not os.path.exists("setup.py"):
        raise SystemExit("there is neither pyproject.toml nor setup.py")
    asker.all(table.get("requires", ["setuptools >= 40.8", "wheel"]), "build-system.requires")
    if options.no_hooks:
        return
    sys.path.insert(0, "") if not table.get("build-backend") else None
    backend = backend_of(table)
    if hasattr(backend, "get_requires_for_build_wheel"):
        asker.all(backend.get_requires_for_build_wheel(), "get_requires_for_build_wheel")
    if not options.no_runtime:
        asker.all(run_time(backend), "Requires-Dist")


def buildrequires(options):
    print(f"pyproject-rpm-macros\npython{options.pkgversion}-devel")
    prefix = f"python{options.pkgversion}"
    print(f"{prefix}dist(pip) >= 19\n{prefix}dist(packaging)", flush=True)
    try:
        import packaging.requirements  # noqa: F401
    except ImportError:
        say("packaging is not installed yet")
        return
    asker = Asker(prefix, options.extra)
    # Hooks print what they like: only our lines reach rpmbuild, child processes included.
    asker.out = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    try:
        with contextlib.redirect_stdout(sys.stderr):
            ask(asker, options)
    except Missing as err:
        say(f"to be asked again when {err} is installed")
    finally:
        asker.out.close()


# --- %pyproject_install, %pyproject_save_files ----------------------------------------


def site_dirs(options):
    return list(dict.fromkeys([options.sitelib, options.sitearch]))


def installed(options):
    records = pathlib.Path(options.records)
    records.unlink(missing_ok=True)
    with open(records, "w") as out:
        for site in site_dirs(options):
            for info in sorted(pathlib.Path(options.buildroot + site).glob("*.dist-info")):
                record = info / "RECORD"
                if not record.exists():
                    continue
                (info / "INSTALLER").write_text("rpm\n")
                with open(record, newline="") as f:
                    for row in csv.reader(f):
                        print(os.path.normpath(os.path.join(site, row[0])), file=out)
                for name in ("RECORD", "direct_url.json", "REQUESTED"):
                    (info / name).unlink(missing_ok=True)


class Layout:
    """What was installed, sorted by what %files needs to know."""

    def __init__(self, options):
        self.root, self.sites, self.tag = options.buildroot, site_dirs(options), options.cache_tag
        self.top = {}  # top-level name -> path of a directory or file in a site directory
        self.infos, self.other, self.modules = [], [], set()
        for path in dict.fromkeys(pathlib.Path(options.records).read_text().splitlines()):
            if os.path.lexists(self.root + path):
                self.add(path)

    def add(self, path):
        site = next((s for s in self.sites if path.startswith(s + "/")), None)
        if site is None:
            self.other.append(path)
            return
        parts = path[len(site) + 1 :].split("/")
        if parts[0].endswith(".dist-info"):
            if f"{site}/{parts[0]}" not in self.infos:
                self.infos.append(f"{site}/{parts[0]}")
        elif parts[0] != "__pycache__":
            name = parts[0] if len(parts) > 1 else re.sub(r"\.(py|(cpython|abi3)[^/]*\.so|so)$", "", parts[0])
            self.top.setdefault(name, set()).add(f"{site}/{parts[0]}")
            self.module(parts)

    def module(self, parts):
        stem = re.sub(r"\.(py|cpython-[^/]*\.so|abi3\.so|so)$", "", parts[-1])
        if stem == parts[-1] or not all(p.isidentifier() for p in parts[:-1] + [stem]):
            return
        names = parts[:-1] + ([] if stem == "__init__" else [stem])
        if names and names[-1] != "__main__":
            self.modules.add(".".join(names))

    def lines_of(self, path):
        if os.path.isdir(self.root + path):
            yield f'"{path}"'
        else:
            yield f'"{path}"'
            if path.endswith(".py"):
                head, name = os.path.split(path)
                yield f'"{head}/__pycache__/{name[:-3]}.{self.tag}*.pyc"'

    def info_lines(self, info):
        yield f'%dir "{info}"'
        licences = set(importlib.metadata.PathDistribution(pathlib.Path(self.root + info)).metadata.get_all("License-File") or [])
        for here, dirs, files in os.walk(self.root + info):
            rel = here[len(self.root) :]
            for d in sorted(dirs):
                yield f'%dir "{rel}/{d}"'
            for f in sorted(files):
                inner = f"{rel}/{f}"[len(info) + 1 :]
                mark = "%license " if inner in licences or inner.removeprefix("licenses/") in licences else ""
                yield f'{mark}"{rel}/{f}"'


def save_files(options):
    layout = Layout(options)
    globs, auto = [g for g in options.globs if not g.startswith("+")], "+auto" in options.globs
    unknown = [g for g in options.globs if g.startswith("+") and g != "+auto"]
    if unknown or not globs:
        raise SystemExit(f"%pyproject_save_files: at least one glob and +auto are understood, not {options.globs}")
    lines, taken = [], set()
    for glob in globs:
        hits = [name for name in layout.top if fnmatch.fnmatchcase(name, glob)]
        if not hits:
            raise SystemExit(f"%pyproject_save_files: the glob {glob!r} matches no module of {sorted(layout.top)}")
        for name in hits:
            if name not in taken:
                taken.add(name)
                lines += [line for path in sorted(layout.top[name]) for line in layout.lines_of(path)]
    infos = [line for info in layout.infos for line in layout.info_lines(info)]
    if options.license and not any(line.startswith("%license") for line in infos):
        raise SystemExit("%pyproject_save_files -l: the metadata names no licence file")
    if auto:
        for path in layout.other:
            compressed = re.match(r"/usr/share/(man|info)/", path)
            lines.append(f'"{path}{"*" if compressed else ""}"')
    elif left := [p for p in layout.other if not p.startswith("/usr/bin/")]:
        say(f"not listed without +auto: {left}")
    pathlib.Path(options.files).write_text("\n".join(lines + infos) + "\n")
    modules = sorted(m for m in layout.modules if m.split(".")[0] in taken)
    pathlib.Path(options.modules).write_text("\n".join(modules) + "\n")


def check_import(options):
    modules = pathlib.Path(options.modules).read_text().split()
    if options.top:
        modules = [m for m in modules if "." not in m]
    modules = [m for m in modules if not any(fnmatch.fnmatchcase(m, e) for e in options.exclude)]
    if not modules:
        raise SystemExit("%pyproject_check_import: no modules to import")
    failed = []
    for m in modules:
        say(f"import {m}")
        if subprocess.run([sys.executable, "-s", "-c", "import importlib, sys; importlib.import_module(sys.argv[1])", m]).returncode:
            failed.append(m)
    if failed:
        raise SystemExit(f"cannot be imported: {', '.join(failed)}")


def main():
    parser = argparse.ArgumentParser()
    commands = parser.add_subparsers(required=True)

    def command(name, run, *options, **flags):
        sub = commands.add_parser(name)
        sub.set_defaults(run=run)
        for option in options:
            sub.add_argument("--" + option, required=True)
        for flag, kind in flags.items():
            sub.add_argument(flag if kind == "globs" else "--" + flag.replace("_", "-"), **KINDS[kind])

    command("buildrequires", buildrequires, "pkgversion", no_runtime="flag", no_hooks="flag", extra="list")
    command("installed", installed, "buildroot", "sitelib", "sitearch", "records")
    command("save-files", save_files, "buildroot", "sitelib", "sitearch", "records", "files", "modules", "cache-tag", license="flag", globs="globs")
    command("check-import", check_import, "modules", top="flag", exclude="list")
    options = parser.parse_args()
    options.run(options)


KINDS = {"flag": {"action": "store_true"}, "list": {"action": "append", "default": []}, "globs": {"nargs": "*"}}

if __name__ == "__main__":
    main()
