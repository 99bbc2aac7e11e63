#!/usr/bin/python3
"""ReqPM's PEP 517 driver: asks a build backend, builds a wheel, installs it for rpm.

It runs inside build roots and sandboxes and is shipped in source RPMs, so it
needs nothing but Python 3.6 or later and its standard library.

    requires                     build requirements, declared and asked for, as JSON
    metadata OUT                 writes OUT/METADATA
    describe OUT                 requires, and metadata at once where nothing more is needed for it
    wheel OUTDIR                 builds the wheel and prints its file name
    install WHEEL --root DIR ... puts a wheel into a build root, writes %files lines
    check-import NAME...         tries to import each name
    buildrequires                rpm dependency lines, for %generate_buildrequires

Only the answer goes to standard output; whatever backends, compilers and setup.py
scripts print goes to standard error. The source tree is the working directory.
Exit status: 0 well, 1 the work failed, 2 wrong usage.
"""
import argparse
import calendar
import configparser
import email.parser
import importlib
import io
import json
import os
import platform
import posixpath
import py_compile
import re
import subprocess
import sys
import tempfile
import time
import traceback
import zipfile

LEGACY = "setuptools.build_meta:__legacy__"


class DriverError(Exception):
    """Something this driver found wrong; the text is meant for people."""


# --- pyproject.toml ---------------------------------------------------------

def load_toml(path):
    """Reads a TOML file with whatever reader this Python has (PEP 680)."""
    with open(path, "rb") as stream:
        data = stream.read().decode("utf-8-sig")
    for name in ("tomllib", "tomli", "pip._vendor.tomli"):
        try:
            reader = importlib.import_module(name)
        except ImportError:
            continue
        return reader.loads(data)
    return {"build-system": read_build_system(data)}


TOML_STRING = r'"(?:[^"\\\n]|\\.)*"|' + r"'[^'\n]*'"


def read_build_system(text):
    """Reads [build-system] only: strings and arrays of strings, nothing else.

    The last resort of old Pythons. Whatever it does not understand is an error
    rather than a guess.
    """
    lines, inside = [], False
    for line in text.splitlines():
        header = re.match(r"\s*\[\[?\s*([^\]]+?)\s*\]\]?\s*(#.*)?$", line)
        if header and not (lines and inside and open_bracket("\n".join(lines))):
            inside = header.group(1).strip("\"'") == "build-system"
            continue
        if inside:
            lines.append(line)
    body = "\n".join(lines)
    table, at = {}, 0
    blank = re.compile(r"(?:\s|#[^\n]*)*")
    key = re.compile(r"([A-Za-z0-9_-]+)[ \t]*=[ \t]*")
    item = re.compile(TOML_STRING)
    while True:
        at = blank.match(body, at).end()
        if at >= len(body):
            return table
        found = key.match(body, at)
        if not found:
            raise DriverError("pyproject.toml: cannot read [build-system] near %r" % body[at:at + 40])
        at = found.end()
        if body[at:at + 1] != "[":
            value = item.match(body, at)
            if not value:
                raise DriverError("pyproject.toml: [build-system] %s is not a string" % found.group(1))
            table[found.group(1)], at = unquote(value.group()), value.end()
            continue
        values, at = [], at + 1
        while True:
            at = blank.match(body, at).end()
            value = item.match(body, at)
            if value:
                values.append(unquote(value.group()))
                at = blank.match(body, value.end()).end()
                if body[at:at + 1] == ",":
                    at += 1
                    continue
            if body[at:at + 1] != "]":
                raise DriverError("pyproject.toml: [build-system] %s is not a list of strings" % found.group(1))
            at += 1
            break
        table[found.group(1)] = values


def open_bracket(text):
    """Tells whether an array is still open at the end of text."""
    bare = re.sub(TOML_STRING + r"|#[^\n]*", "", text)
    return bare.count("[") > bare.count("]")


def unquote(token):
    return token[1:-1] if token[0] == "'" else json.loads(token)


def build_system():
    """The (requires, backend, backend-path) of the source tree, with PEP 518's defaults."""
    table = None
    if os.path.exists("pyproject.toml"):
        try:
            table = load_toml("pyproject.toml").get("build-system")
        except ValueError as err:
            raise DriverError("pyproject.toml: %s" % err)
    if table is None:
        return ["setuptools>=40.8.0"], LEGACY, []
    return table.get("requires", []), table.get("build-backend", LEGACY), table.get("backend-path", [])


# --- the backend ------------------------------------------------------------

def load_backend():
    """Imports the backend the way PEP 517 says: not from the source tree, but for backend-path."""
    _, spec, backend_path = build_system()
    here = os.path.realpath(os.getcwd())
    for entry in reversed(backend_path):
        full = os.path.realpath(os.path.join(here, entry))
        if full != here and not full.startswith(here + os.sep):
            raise DriverError("backend-path %r leaves the source tree" % entry)
        sys.path.insert(0, full)
    module, _, attributes = spec.partition(":")
    try:
        backend = importlib.import_module(module)
    except ImportError as err:
        raise BackendMissing("the build backend %s cannot be imported: %s" % (spec, err))
    for name in attributes.split(".") if attributes else []:
        if name == "__legacy__" and not hasattr(backend, name):
            sys.path.insert(0, here)  # setuptools < 40.8 has no __legacy__; this is all it does
            return backend
        backend = getattr(backend, name)
    return backend


class BackendMissing(DriverError):
    pass


def hook_requires(backend, settings):
    hook = getattr(backend, "get_requires_for_build_wheel", None)
    return list(hook(settings)) if hook else []


def build_wheel(backend, outdir, settings):
    """Builds the wheel; returns its path."""
    os.makedirs(outdir, exist_ok=True)
    name = backend.build_wheel(os.path.abspath(outdir), settings)
    path = os.path.join(outdir, os.path.basename(name))
    if not os.path.isfile(path):
        raise DriverError("the backend says it built %r, but there is no such file" % name)
    return path


def prepare_metadata(backend, settings):
    """The wheel's METADATA as bytes: from the hook, or out of a wheel built for it."""
    hook = getattr(backend, "prepare_metadata_for_build_wheel", None)
    with tempfile.TemporaryDirectory() as work:
        if hook:
            info = hook(work, settings)
            with open(os.path.join(work, info, "METADATA"), "rb") as stream:
                return stream.read()
        with zipfile.ZipFile(build_wheel(backend, work, settings)) as wheel:
            return wheel.read(Wheel(wheel).dist_info + "/METADATA")


# --- names, versions, requirements, markers (PEP 503, 440, 508) ----------------

def normalize(name):
    return re.sub(r"[-_.]+", "-", name).lower()


VERSION = re.compile(r"""
    \s*v?(?:(?P<epoch>\d+)!)?(?P<release>\d+(?:\.\d+)*)
    (?:[-_.]?(?P<prekind>alpha|beta|preview|pre|a|b|c|rc)[-_.]?(?P<pre>\d*))?
    (?:-(?P<post1>\d+)|[-_.]?(?P<postkind>post|rev|r)[-_.]?(?P<post2>\d*))?
    (?:[-_.]?(?P<devkind>dev)[-_.]?(?P<dev>\d*))?
    (?:\+(?P<local>[a-z0-9]+(?:[-_.][a-z0-9]+)*))?\s*$""", re.X | re.I)
PRE = {"alpha": "a", "a": "a", "beta": "b", "b": "b", "c": "rc", "rc": "rc", "pre": "rc", "preview": "rc"}


class Version:
    """A PEP 440 version: .key orders, .rpm() is the form of rpm's dist provides."""

    def __init__(self, text):
        found = VERSION.match(text)
        if not found:
            raise ValueError("not a PEP 440 version: %r" % text)
        part = found.groupdict()
        self.epoch = int(part["epoch"] or 0)
        release = [int(n) for n in part["release"].split(".")]
        self.written = list(release)
        while len(release) > 1 and release[-1] == 0:
            release.pop()
        self.release = tuple(release)
        self.pre = (PRE[part["prekind"].lower()], int(part["pre"] or 0)) if part["prekind"] else None
        self.post = self.dev = None
        if part["post1"] or part["postkind"]:
            self.post = int(part["post1"] or part["post2"] or 0)
        if part["devkind"]:
            self.dev = int(part["dev"] or 0)
        self.local = tuple((1, int(p), "") if p.isdigit() else (0, 0, p)
                           for p in re.split(r"[-_.]", (part["local"] or "").lower()) if p)
        self.final = self.pre is None and self.post is None and self.dev is None

    @property
    def public(self):
        """The ordering key without the local part."""
        if self.pre is None and self.post is None and self.dev is not None:
            pre = ("", 0)  # 1.0.dev1 comes before 1.0a1
        else:
            pre = self.pre or ("z", 0)
        return (self.epoch, self.release, pre, -1 if self.post is None else self.post,
                float("inf") if self.dev is None else self.dev)

    @property
    def key(self):
        return self.public + (self.local,)

    def rpm(self):
        """What pythondistdeps.py writes for this version."""
        text = ".".join(map(str, self.release))
        if self.pre:
            text += "~%s%d" % self.pre
        elif self.dev is not None:
            text += "~~dev%d" % self.dev
        elif self.post is not None:
            text += "^post%d" % self.post
        return "%d:%s" % (self.epoch, text) if self.epoch else text


def bump(numbers):
    """The release after every release that begins with numbers: 1.4 -> 1.5."""
    return ".".join(map(str, numbers[:-1] + [numbers[-1] + 1]))


CLAUSE = re.compile(r"\s*(===|==|!=|~=|<=|>=|<|>)\s*([^\s,;()]+)\s*$")
REQUIREMENT = re.compile(r"\s*([A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?)\s*(?:\[([^\]]*)\])?\s*(.*)$", re.S)


class Requirement:
    """One PEP 508 requirement."""

    def __init__(self, text):
        head, _, self.marker = text.partition(";")
        if re.match(r"[^;]*@", text):  # a URL may hold semicolons; its marker follows " ;"
            head, _, self.marker = text.partition(" ;")
        found = REQUIREMENT.match(head)
        if not found:
            raise DriverError("not a requirement: %r" % text)
        self.name = normalize(found.group(1))
        self.extras = {normalize(e.strip()) for e in (found.group(2) or "").split(",") if e.strip()}
        rest = found.group(3).strip()
        self.clauses = []
        if rest.startswith("@"):
            return  # a direct reference: rpm can only ask for the name
        if rest.startswith("(") and rest.endswith(")"):
            rest = rest[1:-1]
        for part in filter(None, (p.strip() for p in rest.split(","))):
            clause = CLAUSE.match(part)
            if not clause:
                raise DriverError("not a requirement: %r" % text)
            self.clauses.append(clause.groups())

    def wanted(self, extras=()):
        """Tells whether the marker holds with no extra or with one of extras."""
        if not self.marker.strip():
            return True
        return any(Marker(self.marker, extra).result for extra in list(extras) + [""])

    def allows(self, version):
        return all(compare(version, op, bound) for op, bound in self.clauses)

    def rpm(self, prefix):
        """The rpm dependency, in the form pyproject_buildrequires writes."""
        name = "%s(%s)" % (prefix, self.name)
        parts = [p for op, bound in self.clauses for p in rpm_clause(name, op, bound)]
        if not parts:
            return name
        return parts[0] if len(parts) == 1 else "(%s)" % " with ".join(sorted(parts))


def compare(version, op, bound):
    """version op bound, in PEP 440's sense (pre-releases are versions like others)."""
    if op == "===":
        return version.strip().lower() == bound.lower()
    have = Version(version)
    if bound.endswith(".*"):
        want = Version(bound[:-2])
        padded = list(have.release) + [0] * len(want.written)
        same = have.epoch == want.epoch and padded[:len(want.written)] == want.written
        return same == (op == "==")
    want = Version(bound)
    mine = have.key if want.local else have.public
    theirs = want.key if want.local else want.public
    if op == "~=":
        prefix = ".".join(map(str, want.written[:-1])) + ".*"
        return have.public >= want.public and compare(version, "==", prefix)
    if op == "<":  # <2 leaves out 2rc1, >2 leaves out 2.post1
        return have.public < want.public and not (
            have.release == want.release and (have.pre or have.dev is not None)
            and not (want.pre or want.dev is not None))
    if op == ">":
        return have.public > want.public and not (
            have.release == want.release and have.post is not None and want.post is None)
    return {"==": mine == theirs, "!=": mine != theirs,
            "<=": have.public <= want.public, ">=": have.public >= want.public}[op]


def rpm_clause(name, op, bound):
    """One version clause as rpm expressions that must all hold."""
    star = bound.endswith(".*")
    version = Version(bound[:-2] if star else bound)
    text, numbers = version.rpm(), version.written
    epoch = "%d:" % version.epoch if version.epoch else ""
    if star:
        after = epoch + Version(bump(numbers)).rpm()
        if op == "==":
            return ["%s >= %s" % (name, text), "%s < %s~~" % (name, after)]
        if op == "!=":
            return ["(%s < %s~~ or %s >= %s)" % (name, text, name, after)]
        raise DriverError("%s%s is not a valid version clause" % (op, bound))
    if op == "~=":
        if len(numbers) < 2:
            raise DriverError("~=%s is not a valid version clause" % bound)
        return ["%s >= %s" % (name, text), "%s < %s~~" % (name, epoch + Version(bump(numbers[:-1])).rpm())]
    if op in ("==", "==="):
        return ["%s = %s" % (name, text)]
    if op == "!=":
        return ["(%s < %s or %s > %s)" % (name, text, name, text)]
    if op == "<" and version.final:
        text += "~~"  # keeps 2~rc1 out of < 2
    if op == ">" and version.final:
        text += ".0"  # keeps 2^post1 out of > 2
    return ["%s %s %s" % (name, op, text)]


class Marker:
    """Evaluates one environment marker for the running Python."""

    TOKEN = re.compile(r"\s*(?:(\(|\))|(===|==|!=|~=|<=|>=|<|>)|(%s)|([A-Za-z_.]+))" % TOML_STRING)

    def __init__(self, text, extra=""):
        self.tokens, at, text = [], 0, text.strip()
        while at < len(text):
            found = self.TOKEN.match(text, at)
            if not found:
                raise DriverError("not an environment marker: %r" % text)
            self.tokens.append(found.group().strip())
            at = found.end()
        version = platform.python_version()
        self.env = {
            "os_name": os.name, "sys_platform": sys.platform, "platform_machine": platform.machine(),
            "platform_python_implementation": platform.python_implementation(),
            "platform_release": platform.release(), "platform_system": platform.system(),
            "platform_version": platform.version(), "python_full_version": version,
            "python_version": ".".join(version.split(".")[:2]),
            "implementation_name": sys.implementation.name, "implementation_version": version, "extra": extra}
        self.text = text
        self.result = self.either()
        if self.tokens:
            raise DriverError("not an environment marker: %r" % text)

    def next(self):
        if not self.tokens:
            raise DriverError("not an environment marker: %r" % self.text)
        return self.tokens.pop(0)

    def either(self):
        result = self.both()
        while self.tokens and self.tokens[0] == "or":
            self.next()
            result = self.both() or result
        return result

    def both(self):
        result = self.one()
        while self.tokens and self.tokens[0] == "and":
            self.next()
            result = self.one() and result
        return result

    def one(self):
        if self.tokens and self.tokens[0] == "(":
            self.next()
            result = self.either()
            if self.next() != ")":
                raise DriverError("not an environment marker: %r" % self.text)
            return result
        left, op = self.next(), self.next()
        if op == "not":
            op += " " + self.next()
        right = self.next()
        names = [token for token in (left, right) if token[0] not in "'\""]
        left, right = self.value(left), self.value(right)
        if "extra" in names:
            left, right = normalize(left), normalize(right)
        if op == "in":
            return left in right
        if op == "not in":
            return left not in right
        try:
            return compare(left, op, right)
        except ValueError:  # not versions: compared as text
            return {"==": left == right, "===": left == right, "!=": left != right, "<": left < right,
                    ">": left > right, "<=": left <= right, ">=": left >= right}.get(op, False)

    def value(self, token):
        if token[0] in "'\"":
            return token[1:-1]
        name = token.replace(".", "_").replace("python_implementation", "platform_python_implementation")
        name = token if token in self.env else name
        if name not in self.env:
            raise DriverError("not an environment marker: %r" % self.text)
        return self.env[name]


# --- wheels (PEP 427) ---------------------------------------------------------

class Wheel:
    """An open wheel: what its dist-info says, and its members by install scheme."""

    def __init__(self, archive):
        self.archive = archive
        infos = {n.split("/")[0] for n in archive.namelist() if n.split("/")[0].endswith(".dist-info")}
        if len(infos) != 1:
            raise DriverError("%s: %d .dist-info directories, wanted one" % (archive.filename, len(infos)))
        self.dist_info = infos.pop()
        self.data = self.dist_info[:-len(".dist-info")] + ".data"
        self.metadata = self.headers("METADATA")
        self.purelib = (self.headers("WHEEL").get("Root-Is-Purelib") or "").strip().lower() == "true"
        self.name, self.version = self.metadata.get("Name") or "", self.metadata.get("Version") or ""

    def headers(self, name):
        try:
            text = self.archive.read(self.dist_info + "/" + name).decode("utf-8", "replace")
        except KeyError:
            raise DriverError("%s has no %s/%s" % (self.archive.filename, self.dist_info, name))
        return email.parser.Parser().parsestr(text, headersonly=True)

    def members(self):
        """Yields (scheme, path inside the scheme, ZipInfo) of every file."""
        root = "purelib" if self.purelib else "platlib"
        for info in self.archive.infolist():
            if info.filename.endswith("/"):
                continue
            path = safe_path(info.filename)
            if not path.startswith(self.data + "/"):
                yield root, path, info
                continue
            scheme, _, rest = path[len(self.data) + 1:].partition("/")
            if scheme not in ("purelib", "platlib", "headers", "scripts", "data") or not rest:
                raise DriverError("unknown place in wheel: %r" % info.filename)
            yield scheme, rest, info

    def entry_points(self):
        """Yields (script name, module, attributes) of console and GUI scripts."""
        try:
            text = self.archive.read(self.dist_info + "/entry_points.txt").decode("utf-8")
        except KeyError:
            return
        parser = configparser.RawConfigParser(delimiters=("=",), strict=False)
        parser.optionxform = str
        parser.read_string(text)
        for group in ("console_scripts", "gui_scripts"):
            for name, target in parser.items(group) if parser.has_section(group) else []:
                found = re.match(r"\s*([\w.]+)\s*:\s*([\w.]+)\s*(?:\[.*\])?\s*$", target)
                if not found or not re.match(r"[\w][\w.+ -]*$", name):
                    raise DriverError("bad entry point: %s = %s" % (name, target))
                yield name, found.group(1), found.group(2)

    def expect(self, name, version):
        """Complains when the wheel is not the wanted project (PEP 503 and 440 comparison)."""
        try:
            same = Version(self.version).key == Version(version).key
        except ValueError:
            same = self.version == version
        if same and normalize(self.name) == normalize(name):
            return
        why = ""
        if normalize(self.name) == "unknown" or self.version == "0.0.0":
            why = (" (the backend did not read the project's metadata: it is too old for this pyproject.toml, "
                   "or a plugin that tells the version is missing)")
        raise DriverError("the wheel built is %s %s, wanted %s %s%s"
                          % (self.name, self.version, name, version, why))


def safe_path(name):
    """A member's path, or an error when it would land outside the directory it is meant for."""
    parts = name.split("/")
    if name.startswith("/") or "\\" in name or any(p in ("", ".", "..") for p in parts) or re.search(r"[\x00-\x1f\x7f]", name):
        raise DriverError("unsafe path in wheel: %r" % name)
    return name


# --- install --------------------------------------------------------------------

# Top-level things that many wheels ship by mistake: two RPMs with the same
# site-packages/tests cannot be installed together.
STRAY = {"test", "tests", "doc", "docs", "example", "examples", "script", "scripts",
         "benchmark", "benchmarks", "setup", "conftest"}
LICENCE = re.compile(r"(licen[cs]e|copying|notice|authors)", re.I)
# Below /usr/share these belong to other packages; everything else there is ours to own.
SHARED = {"applications", "appdata", "bash-completion", "dbus-1", "doc", "fish", "fonts", "icons", "info", "licenses",
          "locale", "man", "metainfo", "mime", "pixmaps", "polkit-1", "themes", "zsh"}


class Installer:
    """Puts one wheel below a build root and remembers what it put where."""

    def __init__(self, wheel, args):
        self.wheel, self.root, self.python = wheel, os.path.abspath(args.root), args.python
        self.prefix, self.licence_dir, self.compile = args.prefix, args.license_dir, args.compile
        minor = "%d.%d" % sys.version_info[:2]
        found = re.search(r"python(\d+\.\d+)$", args.python)
        minor = found.group(1) if found else minor
        # A noarch package must not own anything below lib64.
        platlib = args.sitelib if args.noarch else args.sitearch
        self.places = {"purelib": args.sitelib, "platlib": platlib, "scripts": args.prefix + "/bin", "data": args.prefix,
                       "headers": "%s/include/python%s/%s" % (args.prefix, minor, wheel.name)}
        self.epoch = os.environ.get("SOURCE_DATE_EPOCH")
        self.files = {}     # path in the target -> scheme
        self.elf, self.scripts, self.dropped, self.modules = [], [], [], []

    def run(self):
        stray = self.stray()
        for scheme, path, info in self.wheel.members():
            if scheme in ("purelib", "platlib"):
                if import_name(path.split("/")[0]) in stray and not path.startswith(self.wheel.dist_info):
                    self.dropped.append(path)
                    continue
                if path in (self.wheel.dist_info + "/" + n for n in
                            ("RECORD", "RECORD.jws", "RECORD.p7s", "REQUESTED", "direct_url.json", "INSTALLER")):
                    continue
                self.modules.append(path)
            self.extract(scheme, path, info)
        root = "purelib" if self.wheel.purelib else "platlib"
        self.write(self.site() + "/" + self.wheel.dist_info + "/INSTALLER", b"rpm\n", 0o644, root)
        for name, module, attributes in self.wheel.entry_points():
            self.wrapper(name, module, attributes)
        self.licences()
        if self.compile:
            self.bytecompile()

    def site(self):
        return self.places["purelib" if self.wheel.purelib else "platlib"]

    def stray(self):
        """The top-level names to leave out: stray ones, unless they are the project itself."""
        names = {import_name(p.split("/")[0]) for s, p, _ in self.wheel.members()
                 if s in ("purelib", "platlib") and not p.startswith(self.wheel.dist_info)}
        names.discard("")
        own = normalize(self.wheel.name).replace("-", "_")
        stray = {n for n in names if n in STRAY and n != own}
        return stray if names - stray else set()

    def extract(self, scheme, path, info):
        data = self.wheel.archive.read(info)
        compiled = data[:4] == b"\x7fELF"  # rpm strips, and splits off debuginfo, of executable files only
        mode = 0o755 if compiled or scheme == "scripts" or (info.external_attr >> 16) & 0o111 else 0o644
        if mode == 0o755 and not compiled:
            data = fix_shebang(data, self.python)
        target = self.places[scheme] + "/" + path
        # Zip times have no zone; a zero date is a month and day that do not exist.
        date = info.date_time[:1] + (max(info.date_time[1], 1), max(info.date_time[2], 1)) + info.date_time[3:]
        self.write(target, data, mode, scheme, calendar.timegm(date))
        if compiled:
            self.elf.append(target)
        if posixpath.dirname(target) == self.prefix + "/bin":
            self.scripts.append(posixpath.basename(target))

    def write(self, target, data, mode, scheme, mtime=None):
        full = self.root + target
        os.makedirs(os.path.dirname(full), mode=0o755, exist_ok=True)
        with open(full, "wb") as stream:
            stream.write(data)
        os.chmod(full, mode)
        # Compiled files name their source's time, so it must be the one rpm will store.
        stamp = min(mtime or time.time(), float(self.epoch)) if self.epoch else mtime
        if stamp:
            os.utime(full, (stamp, stamp))
        self.files[target] = scheme

    def wrapper(self, name, module, attributes):
        if import_name(module.split(".")[0]) in {p.split("/")[0] for p in self.dropped}:
            self.dropped.append(self.places["scripts"] + "/" + name)
            return
        first = attributes.split(".")[0]
        text = ("#!%s\n# -*- coding: utf-8 -*-\nimport sys\n\nfrom %s import %s\n\nif __name__ == \"__main__\":\n"
                "    sys.exit(%s())\n" % (self.python, module, first, attributes))
        self.write(self.places["scripts"] + "/" + name, text.encode(), 0o755, "scripts")
        self.scripts.append(name)

    def licences(self):
        """Takes the source tree's licence files when the wheel brings none."""
        if not self.licence_dir or any(self.is_licence(path) for path in self.files):
            return
        for name in sorted(os.listdir(".")):
            if LICENCE.match(name) and os.path.isfile(name) and not os.path.islink(name):
                with open(name, "rb") as stream:
                    self.write(self.licence_dir + "/" + name, stream.read(), 0o644, "licence")

    def is_licence(self, path):
        info = self.site() + "/" + self.wheel.dist_info + "/"
        if not path.startswith(info):
            return False
        inner = path[len(info):]
        named = {n.strip() for n in self.wheel.metadata.get_all("License-File") or []}
        return inner.startswith(("licenses/", "license_files/")) or inner in named or bool(LICENCE.match(inner))

    def bytecompile(self):
        """Compiles what was installed; a file of another Python's syntax is left alone."""
        for target, scheme in sorted(self.files.items()):
            if scheme not in ("purelib", "platlib") or not target.endswith(".py"):
                continue
            for level in (0, 1):
                options = {}
                if hasattr(py_compile, "PycInvalidationMode"):
                    options["invalidation_mode"] = py_compile.PycInvalidationMode.TIMESTAMP
                try:
                    py_compile.compile(self.root + target, dfile=target, doraise=True, optimize=level, **options)
                except (py_compile.PyCompileError, ValueError, OSError):
                    break

    def facts(self):
        return {"name": self.wheel.name, "version": self.wheel.version, "purelib": self.wheel.purelib,
                "elf": sorted(self.elf), "top_level": top_level(self.modules), "imports": imports(self.modules),
                "scripts": sorted(set(self.scripts)), "dropped": sorted(self.dropped)}

    def listing(self):
        """The lines of rpm's %files list."""
        lines = set()
        for target, scheme in self.files.items():
            if scheme in ("purelib", "platlib"):
                lines.update(self.site_lines(target, self.places[scheme]))
            elif scheme == "licence":
                lines.update(["%dir " + quote(self.licence_dir), "%license " + quote(target)])
            elif scheme == "headers":
                lines.add(quote(self.places["headers"]))
            else:
                lines.update(self.data_lines(target))
        return sorted(lines, key=lambda line: line[line.index('"'):])

    def site_lines(self, target, site):
        """A file below site-packages: its whole top-level directory, or itself."""
        first, _, rest = target[len(site) + 1:].partition("/")
        top = site + "/" + first
        if first == self.wheel.dist_info:
            return self.info_lines(target, top)
        if rest:
            return [quote(top)]
        if not first.endswith(".py"):
            return [quote(target)]
        compiled = site + "/__pycache__/" + first[:-3]
        lines = [quote(target)]
        cache = os.path.join(self.root + site, "__pycache__")
        there = os.path.isdir(cache) and any(n.startswith(first[:-3] + ".") for n in os.listdir(cache))
        if there or not self.compile:
            lines.append(quote(compiled, ".*.pyc"))
        return lines

    def info_lines(self, target, top):
        """dist-info is listed as directories and single files, so that each licence has one line.

        rpm's generators work on the entry of the directory: without it nothing
        provides pythonX.Ydist(name).
        """
        lines, place = ["%dir " + quote(top)], posixpath.dirname(target)
        while place != top:
            lines.append("%dir " + quote(place))
            place = posixpath.dirname(place)
        return lines + [("%license " if self.is_licence(target) else "") + quote(target)]

    def data_lines(self, target):
        share = self.prefix + "/share/"
        if target.startswith(share + "man/") or target.startswith(share + "info/"):
            return [quote(re.sub(r"\.gz$", "", target), "*")]  # brp-compress packs them
        lines = [quote(target)]
        if target.startswith(share) and target[len(share):].split("/")[0] not in SHARED:
            place = posixpath.dirname(target)
            while place != share.rstrip("/"):
                lines.append("%dir " + quote(place))
                place = posixpath.dirname(place)
        return lines


def quote(path, pattern=""):
    """A path for a %files list.

    Characters that rpm's macro, quote and pattern readers would take for their own
    become "?", which matches them; how often a "%" must be doubled differs
    between rpm versions.
    """
    return '"%s%s"' % (re.sub(r'[%"\\*?\[\]{}]', "?", path), pattern)


def fix_shebang(data, python):
    """Points a script's first line at python when it names any Python."""
    found = re.match(br"#!\s*(?:/\S*/)?(?:env\s+(?:-S\s+)?)?(?:/\S*/)?pythonw?[\d.]*(?=[\s])", data)
    return b"#!" + python.encode() + data[found.end():] if found else data


def import_name(first):
    """The import name of a top-level entry of site-packages, or ''."""
    name = re.sub(r"(\.(cpython|abi3|pypy)[^/]*)?\.(py|so)$", "", first)
    return name if name.isidentifier() else ""


def top_level(paths):
    """Import names of the files of a wheel."""
    code = (".py", ".so")
    return sorted({import_name(p.split("/")[0]) for p in paths if p.endswith(code)} - {""})


def imports(paths):
    """Like top_level, but a namespace package (no __init__) is replaced by what is in it."""
    regular = {posixpath.dirname(p) for p in paths if re.match(r"__init__\.(.*\.)?(py|so)$", posixpath.basename(p))}
    names = set()
    for path in paths:
        if not path.endswith((".py", ".so")):
            continue
        parts = path.split("/")
        for depth in range(1, len(parts) + 1):
            if depth == len(parts) or "/".join(parts[:depth]) in regular:
                name = [import_name(p) for p in parts[:depth]]
                if all(name) and (depth == 1 or "__main__" not in name):
                    names.add(".".join(name))
                break
    return sorted(names)


# --- commands -------------------------------------------------------------------

def cmd_requires(args):
    declared = build_system()[0]
    return json.dumps({"requires": declared, "hook": hook_requires(load_backend(), settings(args))})


def cmd_metadata(args):
    write_metadata(load_backend(), args)


def write_metadata(backend, args):
    data = prepare_metadata(backend, settings(args))
    os.makedirs(args.out, exist_ok=True)
    with open(os.path.join(args.out, "METADATA"), "wb") as stream:
        stream.write(data)


def cmd_describe(args):
    backend = load_backend()
    describe = apart(lambda: write_metadata(backend, args))
    hook = hook_requires(backend, settings(args))
    # A process that fails leaves no METADATA, and is asked again where its words are wanted.
    describe(all(at_hand(text) for text in hook))
    return json.dumps({"requires": build_system()[0], "hook": hook})


def apart(work):
    """A process of its own for work, as PEP 517 asks for each hook, without importing everything again.

    It begins when the function that is returned is called with True, and that waits for its end.
    """
    sys.stdout.flush()
    reader, writer = os.pipe()
    child = os.fork()
    if not child:
        status = 1
        try:
            os.close(writer)
            if os.read(reader, 1):  # nothing: the other process ended, or does not want it
                work()
                sys.stdout.flush()
            status = 0
        except BaseException:
            traceback.print_exc()
        finally:
            os._exit(status)
    os.close(reader)

    def go(wanted):
        if wanted:
            os.write(writer, b"1")
        os.close(writer)
        os.waitpid(child, 0)
    return go


def at_hand(text):
    """Whether what a backend asks for is there already, or not meant for this machine."""
    try:
        requirement = Requirement(text)
        return not requirement.wanted() or installed(requirement)
    except ValueError:
        return False


def cmd_wheel(args):
    path = build_wheel(load_backend(), args.out, settings(args))
    with zipfile.ZipFile(path) as archive:
        wheel = Wheel(archive)
        if args.expect:
            wheel.expect(*args.expect)
    return os.path.basename(path)


def cmd_install(args):
    with zipfile.ZipFile(args.wheel) as archive:
        installer = Installer(Wheel(archive), args)
        installer.run()
    if args.noarch and installer.elf:
        raise DriverError("the package is noarch, but its wheel holds compiled files: %s" % ", ".join(installer.elf))
    for path in sorted(installer.dropped):
        print("left out, other packages ship the same name: %s" % path, file=sys.stderr)
    if args.files:
        with io.open(args.files, "w", encoding="utf-8", errors="surrogateescape") as stream:
            stream.write("".join(line + "\n" for line in installer.listing()))
    return json.dumps(installer.facts())


def cmd_check_import(args):
    """Imports every name in a process of its own, away from the source tree."""
    env = dict(os.environ, PYTHONDONTWRITEBYTECODE="1")
    imported, failed = [], {}
    with tempfile.TemporaryDirectory() as work:
        for name in args.names:
            code = "import importlib, sys; sys.path[:] = [p for p in sys.path if p]; importlib.import_module(%r)" % name
            try:
                result = subprocess.run([sys.executable, "-c", code], cwd=work, env=env, stdin=subprocess.DEVNULL,
                                        stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, timeout=args.timeout)
                reason = result.stderr.decode("utf-8", "replace").strip().splitlines()[-1:] or ["exit status %d" % result.returncode]
                if result.returncode == 0:
                    imported.append(name)
                else:
                    failed[name] = reason[0]
            except subprocess.TimeoutExpired:
                failed[name] = "no answer within %d seconds" % args.timeout
    for name, reason in sorted(failed.items()):
        print("cannot import %s: %s" % (name, reason), file=sys.stderr)
    if failed and args.strict:
        args.status = 1
    return json.dumps({"imported": imported, "failed": failed})


def cmd_buildrequires(args):
    """Prints what is known in this round: rpm installs it and asks again."""
    skip = {normalize(name) for name in args.skip}
    wanted = [r for r in map(Requirement, build_system()[0]) if r.name not in skip and r.wanted()]
    found = list(wanted)
    for requirement in wanted:
        found += extra_requirements(requirement)
    if all(installed(r) for r in found):
        backend = load_backend()
        found += [r for r in map(Requirement, hook_requires(backend, settings(args))) if r.name not in skip and r.wanted()]
        if args.runtime and all(installed(r) for r in found):
            meta = email.parser.Parser().parsestr(prepare_metadata(backend, settings(args)).decode("utf-8", "replace"), headersonly=True)
            run = map(Requirement, meta.get_all("Requires-Dist") or [])
            found += [r for r in run if r.name not in skip and r.wanted(args.extra)]
    prefix = args.dist_prefix or "python%d.%ddist" % sys.version_info[:2]
    return "\n".join(sorted({r.rpm(prefix) for r in found}))


def distribution(name):
    """The installed distribution, or None; also None on Pythons that cannot tell."""
    try:
        from importlib import metadata  # 3.8
        return metadata.distribution(name)
    except Exception:
        return None


def installed(requirement):
    if sys.version_info < (3, 8):
        return True  # cannot be told; the backend's import will
    found = distribution(requirement.name)
    try:
        return found is not None and requirement.allows(found.version)
    except ValueError:
        return False


def extra_requirements(requirement):
    """What name[extra] adds, once name is installed: packages with extras of their own are not needed."""
    found = distribution(requirement.name) if requirement.extras else None
    result = []
    for text in (found.requires or []) if found else []:
        needed = Requirement(text)
        if needed.wanted(requirement.extras) and not needed.wanted():
            result.append(needed)
    return result


def settings(args):
    """PEP 517 config_settings from -C KEY=VALUE; a repeated key makes a list."""
    result = {}
    for text in args.config_setting:
        key, _, value = text.partition("=")
        if key in result:
            old = result[key] if isinstance(result[key], list) else [result[key]]
            value = old + [value]
        result[key] = value
    return result or None


def arguments(argv):
    parser = argparse.ArgumentParser(prog="reqpm_pep517.py", description="ReqPM's PEP 517 driver")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND")
    commands.required = True

    def command(name, function, text, backend=True):
        sub = commands.add_parser(name, help=text)
        sub.set_defaults(function=function, status=0)
        if backend:
            sub.add_argument("-C", "--config-setting", action="append", default=[], metavar="KEY=VALUE")
        return sub

    command("requires", cmd_requires, "build requirements as JSON")
    command("metadata", cmd_metadata, "write OUT/METADATA").add_argument("out", metavar="OUT")
    command("describe", cmd_describe, "requires, and metadata where possible").add_argument("out", metavar="OUT")
    sub = command("wheel", cmd_wheel, "build the wheel into OUTDIR")
    sub.add_argument("out", metavar="OUTDIR")
    sub.add_argument("--expect", nargs=2, metavar=("NAME", "VERSION"))
    sub = command("install", cmd_install, "install a wheel below a build root", backend=False)
    sub.add_argument("wheel", metavar="WHEEL")
    sub.add_argument("--root", required=True, metavar="BUILDROOT")
    sub.add_argument("--prefix", default="/usr")
    sub.add_argument("--python", default=sys.executable, help="the interpreter written into scripts")
    lib = "/usr/%%s/python%d.%d/site-packages" % sys.version_info[:2]
    sub.add_argument("--sitelib", default=lib % "lib")
    sub.add_argument("--sitearch", default=lib % ("lib64" if sys.maxsize > 2**32 else "lib"))
    sub.add_argument("--files", metavar="LIST", help="write rpm's %%files list here")
    sub.add_argument("--license-dir", metavar="DIR",
                     help="where the source tree's licence files go when the wheel has none")
    sub.add_argument("--noarch", action="store_true", help="compiled files are an error")
    sub.add_argument("--no-compile", dest="compile", action="store_false", help="leave byte-compiling to rpm")
    sub = command("check-import", cmd_check_import, "try to import each name", backend=False)
    sub.add_argument("names", nargs="*", metavar="NAME")
    sub.add_argument("--strict", action="store_true", help="a failed import is a failure")
    sub.add_argument("--timeout", type=int, default=60, help="seconds for each name")
    sub = command("buildrequires", cmd_buildrequires, "rpm dependency lines")
    sub.add_argument("--runtime", action="store_true", help="with the run-time requirements")
    sub.add_argument("--extra", action="append", default=[], type=normalize)
    sub.add_argument("--skip", action="append", default=[], metavar="NAME", help="leave this requirement out")
    sub.add_argument("--dist-prefix", metavar="PREFIX", help="default: pythonX.Ydist of this Python")
    return parser.parse_args(argv)


def main(argv):
    args = arguments(argv)
    # PEP 517: a backend must not be found in the directory of this file by chance.
    here = os.path.dirname(os.path.abspath(__file__))
    sys.path[:] = [p for i, p in enumerate(sys.path) if i or os.path.abspath(p) != here]
    # setup.py scripts print, and so do the compilers they start: move descriptor 1 away.
    sys.stdout.flush()
    answer = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    try:
        text = args.function(args)
    except DriverError as err:
        print("reqpm_pep517: %s" % err, file=sys.stderr)
        return 1
    except (Exception, SystemExit) as err:
        traceback.print_exc()
        sys.stdout.flush()
        print("reqpm_pep517: %s failed: %s: %s" % (args.command, type(err).__name__, err), file=sys.stderr)
        return 1
    sys.stdout.flush()
    if text:
        answer.write(text + "\n")
    answer.flush()
    return args.status


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
