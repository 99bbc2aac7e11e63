"""Makes pyp2spec's and pyp2rpm's specs of many packages, for TestForeignSpecs.

    foreign.py OUT VENV LIST FILES...

LIST has "NAME VERSION" a line. FILES are folders that are searched for source archives (the
index/files of a state directory). VENV has both programs; its pip brings the wheels that
pyp2spec reads, by pip's own configuration. Both programs run without a network, since
pyp2rpm runs setup.py, and see nothing of this machine that they could change.

OUT/PROGRAM/NAME/ gets the spec and the source; OUT/pyp2spec-plain/ the same spec without the
extras, for their requirements are in nobody's closure. OUT/PROGRAM.failed says why there is none.
The same call again does what is not there yet. Standard library only.
"""

import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

out, venv, listing = (pathlib.Path(a).resolve() for a in sys.argv[1:4])
folders = [pathlib.Path(a).resolve() for a in sys.argv[4:]]


def plain(name):
    return re.sub(r"[-_.]+", "-", name).lower()


def sources():
    """Source archives by (name, version), the first found."""
    found = {}
    for folder in folders:
        for path in folder.rglob("*"):
            stem = re.sub(r"\.(tar\.gz|zip)$", "", path.name)
            if stem != path.name and "-" in stem:
                name, version = stem.rsplit("-", 1)
                found.setdefault((plain(name), version), path)
    return found


def alone(work, *args):
    """Runs a program with nothing to write but work, and no network."""
    base = pathlib.Path(subprocess.run([venv / "bin/python", "-c", "import sys; print(sys.base_prefix)"], capture_output=True, text=True, check=True).stdout.strip())
    site = next((venv / "lib").glob("python3*/site-packages"))
    cmd = ["bwrap", "--ro-bind", "/usr", "/usr", "--ro-bind", "/etc", "/etc"]
    for name in ("bin", "lib", "lib64"):
        cmd += ["--symlink", f"usr/{name}", f"/{name}"]
    cmd += ["--dev", "/dev", "--proc", "/proc", "--tmpfs", "/tmp", "--ro-bind", base, base, "--ro-bind", venv, venv, "--bind", work, work, "--chdir", work,
            "--unshare-all", "--die-with-parent", "--clearenv", "--setenv", "HOME", work, "--setenv", "PATH", f"{venv}/bin:/usr/bin:/bin",
            "--setenv", "PYTHONPATH", site, "--setenv", "LC_ALL", "C.UTF-8"]
    done = subprocess.run([*cmd, *args], capture_output=True, text=True, timeout=120, check=False)
    return done.returncode, done.stdout, done.stderr


def keep(program, name, spec, source):
    folder = out / program / name
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    (folder / f"{name}.spec").write_text(spec)
    shutil.copy(source, folder)


def pyp2spec(name, version, source, work):
    pip = subprocess.run([venv / "bin/pip", "download", "--quiet", "--no-deps", "--only-binary", ":all:", "--python-version", "3.11", "--dest", work, f"{name}=={version}"],
                         capture_output=True, text=True, check=False)
    wheels = list(work.glob("*.whl"))
    if pip.returncode or not wheels:
        return f"no wheel to read: {pip.stderr.strip()[-200:]}"
    stem = plain(name).replace("-", "_")
    wheels[0].rename(work / (stem + wheels[0].name[wheels[0].name.index("-"):]))
    shutil.copy(source, work)
    if not list(work.glob(f"{stem}-*.tar.gz")):
        os.link(work / source.name, work / f"{stem}-{version}.tar.gz")
    # As Copr calls it, but for --fedora-compliant, which asks a server for a list of licences.
    code, said, errors = alone(work, venv / "bin/pyp2spec", name, "--path", work, "--automode", "-v", version, "-o", "x.spec", "-c", "x.conf")
    if code:
        return (errors + said).strip()[-300:]
    spec = (work / "x.spec").read_text()
    # The index gives it the archive's real name; a folder gives the one it asks for.
    top = re.sub(r"\.(tar\.gz|zip)$", "", source.name)
    spec = re.sub(r"(?m)^Source: .*$", lambda _: f"Source:         {source.name}", spec)
    if not source.name.startswith(stem + "-"):
        spec = re.sub(r"(?m)^%autosetup.*$", lambda _: f"%autosetup -p1 -n {top}", spec)
    keep("pyp2spec", name, spec, source)
    spec = re.sub(r"(?m)^%pyproject_extras_subpkg .*\n", "", spec)
    keep("pyp2spec-plain", name, re.sub(r"(?m)^(%pyproject_buildrequires) -x .*$", r"\1", spec), source)
    return ""


def pyp2rpm(name, version, source, work):
    shutil.copy(source, work)
    code, spec, errors = alone(work, venv / "bin/pyp2rpm", work / source.name, "--no-venv", "-d", work / "save")
    if code or "Name:" not in spec:
        return (errors + spec).strip()[-300:] or f"exit status {code}, and nothing said"
    keep("pyp2rpm", name, spec, source)
    return ""


def main():
    have = sources()
    for line in listing.read_text().splitlines():
        name, version = line.split()[:2]
        source = have.get((plain(name), version))
        if not source:
            print(f"{name} {version}: no source archive yet", file=sys.stderr)
            continue
        for make in (pyp2spec, pyp2rpm):
            if (out / make.__name__ / name).exists():
                continue
            with tempfile.TemporaryDirectory(dir=out) as work:
                why = make(name, version, source, pathlib.Path(work))
            failed = out / f"{make.__name__}.failed"
            rest = [l for l in failed.read_text().splitlines() if not l.startswith(f"{name} ")] if failed.exists() else []
            if why:
                rest.append(f"{name} {version}: {' '.join(why.split())}")
            failed.write_text("".join(l + "\n" for l in rest))


out.mkdir(parents=True, exist_ok=True)
main()
