"""Makes the RPMs of the test distribution; make.sh calls it. Standard library only.

Debian packages are unpacked, moved to EL's layout (one /usr, lib64, site-packages) and
packaged again: one rpmbuild each, no scripts, ELF dependencies by rpm's own generator and
Debian's Depends for the rest. What EL has and Debian has not is made by hand, from files/.

    mkdistro.py OUTDIR [el9|el10 [MACROSDIR]]

el9 and el10 say which release's Python stack to be like; MACROSDIR holds the source packages
of a release's own Python macros and generators, which then take the place of those in files/.
"""

import concurrent.futures
import os
import pathlib
import re
import shutil
import subprocess
import sys

OUT = pathlib.Path(sys.argv[1])
LIKE = sys.argv[2] if len(sys.argv) > 2 else ""
REAL = pathlib.Path(sys.argv[3]) if len(sys.argv) > 3 else None
RELEASE = "10" if LIKE == "el10" else "9"
# The release's own Python: EL 9's is 3.9, and every later one a stack of its own beside it.
DEFAULT_PYTHON = "3.9" if LIKE == "el9" else "3.11"
# EL 9's generator also provides names with their dots.
BOTH_NAMES = "--normalized-names-provide-both " if LIKE == "el9" else ""
# EL 10's macros start commands with python3 -sP.
SAFE_PATH = "P" if LIKE == "el10" else "%{nil}"
HERE = pathlib.Path(__file__).resolve().parent
WORK = OUT / ".work"
DEBS = OUT / ".debs"
TRIPLE = "x86_64-linux-gnu"
JOBS = max(2, os.cpu_count() or 2)

# What the distribution holds, as Debian names; the rest comes by Depends.
SEEDS = """bash coreutils sed grep gawk findutils diffutils tar gzip bzip2 xz-utils zstd unzip cpio patch
file util-linux debianutils make gcc-12 g++-12 binutils libc6-dev pkgconf rpm debugedit elfutils
python3.11 python3.11-dev python3-distutils python3-pip python3-setuptools python3-wheel python3-packaging
python3-jinja2 python3-markupsafe python3-six
libffi-dev zlib1g-dev libssl-dev libyaml-dev""".split()

# More of what EL has for packages in other languages, where ELDISTRO_NATIVE is set: tests do without.
if os.environ.get("ELDISTRO_NATIVE"):
    SEEDS += "cmake ninja-build patchelf rustc-web cargo-web libjpeg62-turbo-dev libpq-dev libzmq3-dev".split()

# Never followed: maintainer tools, scripting languages, things only scripts or people need.
LEFT_OUT = set("""perl perl-base dpkg dpkg-dev debconf debconf-2.0 init-system-helpers lsb-base passwd login base-files
install-info ucf adduser sensible-utils media-types mime-support tzdata ca-certificates python3 python3-minimal
libpython3-stdlib python3-lib2to3 gcc g++ cpp libpam-modules libpam-runtime libc-l10n openssl libdebuginfod1
clang c-compiler libasan8 liblsan0 libtsan2 libubsan1 libitm1 libquadmath0 libhwasan0""".split())

# Debian package -> RPM. Several may go into one.
NAMES = {
    "libc6": "glibc", "libc-bin": "glibc", "libc6-dev": "glibc-devel", "libc-dev-bin": "glibc-devel",
    "linux-libc-dev": "kernel-headers", "libcrypt1": "libxcrypt", "libcrypt-dev": "libxcrypt-devel",
    "libgcc-s1": "libgcc", "gcc-12-base": "libgcc", "libstdc++6": "libstdc++", "libstdc++-12-dev": "libstdc++-devel",
    "gcc-12": "gcc", "libgcc-12-dev": "gcc", "cpp-12": "cpp", "g++-12": "gcc-c++", "libcc1-0": "gcc", "libgomp1": "libgomp", "libatomic1": "libatomic",
    "binutils": "binutils", "binutils-common": "binutils", "binutils-x86-64-linux-gnu": "binutils", "libbinutils": "binutils",
    "xz-utils": "xz", "liblzma5": "xz-libs", "libbz2-1.0": "bzip2-libs", "libzstd1": "libzstd", "debianutils": "which",
    "zlib1g": "zlib", "zlib1g-dev": "zlib-devel", "libffi8": "libffi", "libffi-dev": "libffi-devel",
    "libssl3": "openssl-libs", "libssl-dev": "openssl-devel", "libyaml-0-2": "libyaml", "libyaml-dev": "libyaml-devel",
    "libexpat1": "expat", "libexpat1-dev": "expat-devel", "libsqlite3-0": "sqlite-libs", "libreadline8": "readline", "readline-common": "readline",
    "libncursesw6": "ncurses-libs", "libtinfo6": "ncurses-libs", "libgmp10": "gmp", "libmpfr6": "mpfr", "libmpc3": "libmpc",
    "libelf1": "elfutils-libelf", "libdw1": "elfutils-libs", "libasm1": "elfutils-libs", "libmagic1": "file-libs", "libmagic-mgc": "file-libs",
    "libacl1": "libacl", "libattr1": "libattr", "libselinux1": "libselinux", "libpcre2-8-0": "pcre2", "libpopt0": "popt",
    "liblua5.3-0": "lua-libs", "libcap2": "libcap", "libcap-ng0": "libcap-ng", "libaudit1": "audit-libs", "libaudit-common": "audit-libs",
    "libuuid1": "libuuid", "libpam0g": "pam-libs", "libsystemd0": "systemd-libs", "libudev1": "systemd-libs", "libicu72": "libicu", "libarchive13": "libarchive", "liblz4-1": "lz4-libs", "libblkid1": "libblkid", "libmount1": "libmount", "libsmartcols1": "libsmartcols", "util-linux-extra": "util-linux",
    "libdbus-1-3": "dbus-libs", "libgcrypt20": "libgcrypt", "libgpg-error0": "libgpg-error", "libdb5.3": "libdb", "libgdbm6": "gdbm-libs",
    "librpm9": "rpm-libs", "librpmio9": "rpm-libs", "librpmbuild9": "rpm-build-libs", "librpmsign9": "rpm-sign-libs",
    "rpm-common": "rpm", "rpm": "rpm-build", "rpm2cpio": "rpm",
    "pkgconf": "pkgconf-pkg-config", "pkgconf-bin": "pkgconf-pkg-config", "libpkgconf3": "libpkgconf",
    "python3.11": "python3", "python3.11-minimal": "python3", "libpython3.11-minimal": "python3-libs", "libpython3.11-stdlib": "python3-libs",
    "libpython3.11": "python3-libs", "python3-distutils": "python3-libs",
    "python3.11-dev": "python3-devel", "libpython3.11-dev": "python3-devel",
    "python3-pkg-resources": "python3-setuptools",
    "rustc-web": "rust", "libstd-rust-web-dev": "rust-std-static", "cargo-web": "cargo",
    "libjpeg62-turbo": "libjpeg-turbo", "libjpeg62-turbo-dev": "libjpeg-turbo-devel", "libpq5": "libpq", "libpq-dev": "libpq-devel",
    "libzmq5": "zeromq", "libzmq3-dev": "zeromq-devel",
}

# Requirements beyond what Debian's Depends and ELF files say.
EXTRA = {
    "glibc": ["Provides: rtld(GNU_HASH)", "Requires: filesystem setup glibc-minimal-langpack"],
    "bash": ["Provides: /bin/sh", "Provides: /bin/bash"],
    "coreutils": ["Provides: /bin/cat /bin/mkdir /bin/rm"],
    "gawk": ["Provides: /bin/awk"],
    "gcc": ["Requires: glibc-devel binutils cpp libgcc"],
    "rust": ["Requires: gcc"],
    "rpm-build": ["Requires: bash coreutils diffutils findutils gawk grep sed tar gzip bzip2 xz zstd unzip cpio patch file make binutils debugedit elfutils redhat-rpm-config pkgconf-pkg-config"],
    "python3": ["Provides: python(abi) = 3.11", "Provides: python3.11 = %{version}-%{release}", "Provides: /usr/bin/python3", "Requires: python3-libs = %{version}"],
    "python3-libs": ["Requires: python3"],
    "python3-devel": ["Requires: python3 python3-rpm-macros python-rpm-macros python3-rpm-generators", "Provides: python3.11-devel = %{version}-%{release}", "Provides: pkgconfig(python3)"],
    # Debian takes it out of the package's own metadata; EL's generator writes it.
    "python3-jinja2": ["Requires: python3.11dist(markupsafe) >= 2"],
}
# What Debian's packages depend on and EL's do not: with a wheel older than setuptools likes in every build root,
# packages find another wheel.bdist_wheel than on EL.
NOT_NEEDED = {"python3-pip": {"python3-wheel"}}
PYTHON_PACKAGES = ("python3-pip", "python3-setuptools", "python3-wheel", "python3-packaging", "python3-jinja2", "python3-markupsafe", "python3-six")
PYTHON_NAMES = ("3", "3.11")

# A stack beside the release's own Python has names of its own.
if LIKE == "el9":
    NAMES |= {deb: NAMES.get(deb, deb).replace("python3-", "python3.11-") for deb in (*PYTHON_PACKAGES, "python3-pkg-resources")}
    EXTRA["python3.11-jinja2"] = EXTRA.pop("python3-jinja2")
    PYTHON_PACKAGES = tuple(NAMES[deb] for deb in PYTHON_PACKAGES)
    PYTHON_NAMES = ("3.11",)

DROP = re.compile(r"^/usr/share/(doc|man|info|locale|lintian|bug|doc-base|gdb|gcc|bash-completion|apport|menu|applications|pixmaps|icons|perl5|python-wheels|binfmts|debhelper)(/|$)"
                  r"|/libpython3[^/]*\.a$|^/usr/lib/rpm/(fileattrs/(perl|perllib|ocaml)\.attr|perl\.(req|prov)|brp-python-.*)$"
                  r"|^/etc/(default|init\.d|cron|pam\.d|apt|logrotate\.d|dpkg|kernel)(/|$)|^/usr/share/python3(/|$)|/EXTERNALLY-MANAGED$|^/usr/lib/systemd(/|$)|/lto1$|/lto-dump|^/usr/lib/valgrind|/lib(asan|tsan|hwasan|ubsan|lsan|itm|quadmath)[^/]*$")
GENERATORS = re.compile(r"^/usr/lib/rpm/(pythondistdeps\.py|fileattrs/python(dist)?\.attr)$")


def run(*args, **kwargs):
    done = subprocess.run(args, capture_output=True, text=True, **kwargs)
    if done.returncode:
        sys.exit(f"{' '.join(map(str, args))[:300]}: exit status {done.returncode}\n{done.stdout[-3000:]}{done.stderr[-3000:]}")
    return done.stdout


# --- Debian's side --------------------------------------------------------------------


def stanzas(names):
    text = run("apt-cache", "show", "--no-all-versions", *names)
    for block in text.strip().split("\n\n"):
        fields = dict(re.findall(r"^([A-Za-z-]+): (.*)$", block, re.M))
        if fields.get("Package") in names:
            yield fields["Package"], fields


def alternatives(fields):
    for key in ("Pre-Depends", "Depends"):
        for group in filter(None, fields.get(key, "").split(", ")):
            yield [re.sub(r"[ (:].*", "", alt.strip()) for alt in group.split("|")]


def closure():
    found, want = {}, set(SEEDS)
    while want:
        for name, fields in stanzas(sorted(want)):
            found[name] = fields
        missing = want - found.keys()
        if missing & set(SEEDS):
            sys.exit(f"apt knows no {' '.join(sorted(missing))}; run apt-get update")
        gone = missing
        want = set()
        for fields in found.values():
            for group in alternatives(fields):
                known = [alt for alt in group if alt not in LEFT_OUT]
                if known and not any(alt in found for alt in known):
                    want.add(known[0])
        want -= gone
    return found


def download(found):
    DEBS.mkdir(exist_ok=True)
    wanted = {}
    for name, fields in found.items():
        version = fields["Version"]
        wanted[name] = DEBS / f"{name}_{version.replace(':', '%3a')}_{fields['Architecture']}.deb"
    absent = [f"{name}={found[name]['Version']}" for name, path in wanted.items() if not path.exists()]
    if absent:
        run("apt-get", "-qq", "-o", "APT::Sandbox::User=root", "download", *sorted(absent), cwd=DEBS)
    return wanted


# --- moving to EL's layout ------------------------------------------------------------


def moved(path):
    """Where EL has what Debian has at path (absolute)."""
    path = re.sub(r"^/(bin|sbin|lib|lib64)(?=/|$)", r"/usr/\1", path)
    path = re.sub(rf"^/usr/lib/{TRIPLE}(?=/|$)", "/usr/lib64", path)
    return re.sub(r"^/usr/lib/python3/dist-packages(?=/|$)", "/usr/lib/python3.11/site-packages", path)


def unpack(deb, tree):
    tree.mkdir(parents=True)
    tar = subprocess.Popen(["dpkg-deb", "--fsys-tarfile", deb], stdout=subprocess.PIPE)
    subprocess.run(["tar", "-x", "-C", tree, "--no-same-owner", "--exclude=./usr/share/doc", "--exclude=./usr/share/man", "--exclude=./usr/share/locale", "--exclude=./usr/share/info"],
                   stdin=tar.stdout, check=True)
    if tar.wait():
        sys.exit(f"dpkg-deb {deb} failed")


def relocate(tree, stage):
    """Moves everything under tree to its place under stage."""
    for here, dirs, files in os.walk(tree):
        old_dir = "/" + os.path.relpath(here, tree) if here != str(tree) else ""
        for name in files + [d for d in dirs if os.path.islink(os.path.join(here, d))]:
            old = f"{old_dir}/{name}"
            new = moved(old)
            if DROP.search(new):
                continue
            source, target = os.path.join(here, name), str(stage) + new
            os.makedirs(os.path.dirname(target), exist_ok=True)
            if not os.path.islink(source):
                os.chmod(source, 0o755 if os.stat(source).st_mode & 0o100 or is_library(source) else 0o644)
                os.replace(source, target)
                continue
            points = moved(os.path.normpath(os.path.join(old_dir or "/", os.readlink(source))))
            if points == new or DROP.search(points) or os.path.lexists(target):
                continue
            os.symlink(os.path.relpath(points, os.path.dirname(new)), target)


def is_library(path):
    """rpm makes dependencies for libraries that are executable, as EL's are."""
    if ".so" not in os.path.basename(path):
        return False
    with open(path, "rb") as f:
        return f.read(4) == b"\x7fELF"


def edit(path, *changes):
    """Replaces texts that must be there: a new Debian release must not silently lose one."""
    text = path.read_text()
    for old, new in changes:
        if old not in text:
            sys.exit(f"{path}: {old!r} is not in it any more; this recipe needs a look")
        text = text.replace(old, new)
    path.write_text(text)


def link(stage, target, *names):
    for name in names:
        path = stage / name.lstrip("/")
        path.parent.mkdir(parents=True, exist_ok=True)
        if not os.path.lexists(path):
            path.symlink_to(target)


def adapt(rpm, stage):
    """What makes single packages behave like EL's."""
    py = stage / "usr/lib/python3.11"
    if rpm == "bash":
        link(stage, "bash", "usr/bin/sh")
    elif rpm == "gawk":
        link(stage, "gawk", "usr/bin/awk")
    elif rpm == "which":
        for old in list((stage / "usr").rglob("*")):
            if old.is_file() and old.name != "which.debianutils":
                old.unlink()
        (stage / "usr/bin/which.debianutils").rename(stage / "usr/bin/which")
    elif rpm == "gcc":
        link(stage, "gcc-12", "usr/bin/gcc", "usr/bin/cc", f"usr/bin/{TRIPLE}-gcc")
        for tool in ("ar", "nm", "ranlib"):
            # Debian's Python names its archiver by the triple, EL's does not.
            link(stage, f"gcc-{tool}-12", f"usr/bin/gcc-{tool}", f"usr/bin/{TRIPLE}-gcc-{tool}")
    elif rpm == "gcc-c++":
        link(stage, "g++-12", "usr/bin/g++", "usr/bin/c++", f"usr/bin/{TRIPLE}-g++")
    elif rpm == "cpp":
        link(stage, "cpp-12", "usr/bin/cpp")
    elif rpm == "pkgconf-pkg-config":
        link(stage, "pkgconf", "usr/bin/pkg-config")
    elif rpm == "libpq-devel":
        # Debian's is a Perl program.
        config = stage / "usr/bin/pg_config"
        config.write_text("""#!/bin/sh
case $1 in
--includedir | --pkgincludedir) echo /usr/include/postgresql ;;
--includedir-server) echo /usr/include/postgresql/server ;;
--libdir) echo /usr/lib64 ;;
--version) echo PostgreSQL 15 ;;
--cppflags | --cflags | --ldflags | --libs) echo ;;
*) exit 1 ;;
esac
""")
    elif rpm == "python3":
        link(stage, "python3.11", "usr/bin/python3")
        for name in ("lib", "lib64"):
            (stage / f"usr/{name}/python3.11/site-packages/__pycache__").mkdir(parents=True)
        # Debian's site module is frozen and knows dist-packages alone; from there it is led on.
        pth = stage / "usr/lib/python3/dist-packages/eldistro.pth"
        pth.parent.mkdir(parents=True)
        pth.write_text("import site; site.addsitedir('/usr/lib64/python3.11/site-packages'); site.addsitedir('/usr/lib/python3.11/site-packages')\n")
    elif rpm == "python3-devel":
        # EL 9's %py3_shebang_fix calls it.
        tool = stage / "usr/bin/pathfix3.11.py"
        shutil.copy(HERE / "files/pathfix.py", tool)
        tool.chmod(0o755)
    elif rpm == "python3-libs":
        platlib = "'platlib': '{platbase}/{platlibdir}/python{py_version_short}/site-packages'"
        edit(py / "sysconfig.py", ("prefix_scheme = 'posix_local'", "prefix_scheme = 'posix_prefix'"),
             (platlib, platlib.replace("{platlibdir}", "lib64")))
        edit(py / "_distutils_system_mod.py", ('if name == "posix_prefix":', "if False:"), ("is_default_prefix and not", "False and not"))
        edit(py / "distutils/command/install.py", ('self.select_scheme("unix_local")', 'self.select_scheme("unix_prefix")'))
        edit(py / "distutils/sysconfig.py", ("is_default_prefix and not", "False and not"))


def compile_python(stage):
    """Byte code as EL ships it; a build root is read by a user who cannot write it."""
    for name in ("usr/lib/python3.11", "usr/lib64/python3.11"):
        if (stage / name).is_dir() and os.path.exists("/usr/bin/python3.11"):
            run("/usr/bin/python3.11", "-I", "-m", "compileall", "-q", "-j", "2", "--invalidation-mode", "unchecked-hash",
                "-x", "lib2to3/tests|test/bad", "-s", str(stage), "-p", "/", str(stage / name))


# --- RPM's side -----------------------------------------------------------------------

# Directories of filesystem; everything else belongs to the packages that have files in it.
FILESYSTEM = """/ /boot /dev /etc /etc/rpm /home /media /mnt /opt /proc /root /run /srv /sys /tmp /usr /usr/bin /usr/include /usr/lib /usr/lib64
/usr/libexec /usr/local /usr/local/bin /usr/local/lib /usr/sbin /usr/share /usr/share/licenses /usr/share/doc /usr/share/man /usr/share/man/man1 /usr/src
/usr/lib/rpm /usr/lib/rpm/macros.d /usr/lib/rpm/redhat /usr/lib/rpm/fileattrs /var /var/cache /var/lib /var/lib/rpm /var/log /var/tmp""".split()


def files_list(stage):
    lines = []
    for here, dirs, files in os.walk(stage):
        rel = here[len(str(stage)):] or "/"
        if rel not in FILESYSTEM:
            lines.append(f'%dir "{quote(rel)}"')
        for name in files + [d for d in dirs if os.path.islink(os.path.join(here, d))]:
            path = f"{rel.rstrip('/')}/{name}"
            lines.append(f'"{quote(path)}"')
    return lines


def quote(path):
    # Quotes do not stop rpm from globbing; "?" matches the very character it stands for.
    return re.sub(r"[\[\]{}*?\\]", "?", path).replace("%", "%%")


def spec_of(rpm, version, stage, tags, noarch):
    lines = [f"Name: {rpm}", f"Version: {version}", "Release: 1.eld", f"Summary: {rpm} of the test distribution", "License: see Debian"]
    lines += ["BuildArch: noarch"] if noarch else []
    lines += tags
    lines += ["%description", "Made from Debian packages for ReqPM's tests; not for use.", "%install",
              f'cp -al "{stage}/." "%{{buildroot}}/"', "%files", "%defattr(-,root,root,-)"]
    return "\n".join(lines + files_list(stage)) + "\n"


def rpmbuild(rpm, version, stage, tags, noarch=False):
    stage.mkdir(parents=True, exist_ok=True)
    top = WORK / "top" / rpm
    top.mkdir(parents=True)
    spec = top / f"{rpm}.spec"
    spec.write_text(spec_of(rpm, version, stage, tags, noarch))
    defines = {
        "_topdir": top, "_rpmdir": OUT / "Packages", "_build_name_fmt": "%%{NAME}-%%{VERSION}-%%{RELEASE}.%%{ARCH}.rpm", "_dbpath": WORK / "db",
        "_binary_payload": "w1.zstdio", "_fileattrsdir": WORK / "attrs", "__os_install_post": "%{nil}", "debug_package": "%{nil}",
        "_build_id_links": "none", "_unpackaged_files_terminate_build": "1", "_binaries_in_noarch_packages_terminate_build": "0",
    }
    args = [word for name, value in defines.items() for word in ("--define", f"{name} {value}")]
    run("rpmbuild", "-bb", "--quiet", "--target", "noarch" if noarch else "x86_64", *args, spec, env={"PATH": os.environ["PATH"], "HOME": str(WORK), "LC_ALL": "C.UTF-8"})


def rpm_version(debian):
    return re.sub(r"-[^-]*$", "", re.sub(r"^\d+:", "", debian)).replace("-", ".").replace("+really", ".really")


def dist_provides(stage):
    """python3dist() of what is installed: what the dist generator would say."""
    for meta in sorted(stage.glob("usr/lib/python3.11/site-packages/*.*-info/*")):
        if meta.name in ("METADATA", "PKG-INFO"):
            text = meta.read_text()
            name = re.search(r"^Name: (.*)$", text, re.M)[1]
            version = re.sub(r"(\.0)+$", "", re.search(r"^Version: (.*)$", text, re.M)[1])
            stem = re.sub(r"[-_.]+", "-", name).lower()
            yield from (f"Provides: python{v}dist({stem}) = {version}" for v in PYTHON_NAMES)


def pkgconfig_provides(stage):
    for pc in sorted(stage.glob("usr/*/pkgconfig/*.pc")):
        yield f"Provides: pkgconfig({pc.stem})"


def build_group(rpm, debs, found, paths):
    stage = WORK / "stage" / rpm
    stage.mkdir(parents=True)
    for deb in debs:
        tree = WORK / "tree" / deb
        unpack(paths[deb], tree)
        relocate(tree, stage)
        shutil.rmtree(tree)
    adapt(rpm, stage)
    tags = {"Requires(pre): filesystem"} | set(EXTRA.get(rpm, []))
    for deb in debs:
        for group in alternatives(found[deb]):
            names = [NAMES.get(alt, alt) for alt in group if alt in found]
            if names and rpm not in names and names[0] not in NOT_NEEDED.get(deb, ()):
                tags.add(f"Requires: {names[0]}")
    if rpm in PYTHON_PACKAGES:
        tags |= {"Requires: python(abi) = 3.11"} | set(dist_provides(stage))
    tags |= set(pkgconfig_provides(stage))
    if rpm == "rpm-build":
        split_generators(stage)
    if rpm in ("rpm", "rpm-build"):
        macros = stage / "usr/lib/rpm/macros"
        if macros.exists():
            text = re.sub(r"(?m)^%_dbpath\s.*$", "%_dbpath /var/lib/rpm", macros.read_text())
            macros.write_text(text)
            # EL's rpm has a variable more for builds; its Python macros take the linker's flags from there.
            flags = '  RPM_OPT_FLAGS=\\"%{optflags}\\"\\\n'
            edit(macros, (flags, flags + '  RPM_LD_FLAGS=\\"%{?__global_ldflags}\\"\\\n'), ("export RPM_SOURCE_DIR RPM_BUILD_DIR RPM_OPT_FLAGS", "export RPM_SOURCE_DIR RPM_BUILD_DIR RPM_OPT_FLAGS RPM_LD_FLAGS"))
    compile_python(stage)
    main = next((d for d in debs if d in (rpm, rpm + "3.11")), debs[0])
    rpmbuild(rpm, rpm_version(found[main]["Version"]), stage, sorted(tags))


def split_generators(stage):
    """python3-rpm-generators is a package of its own on EL."""
    for path in [p for p in stage.rglob("*") if p.is_file()]:
        rel = "/" + str(path.relative_to(stage))
        if GENERATORS.search(rel):
            target = WORK / "generators" / rel[1:]
            target.parent.mkdir(parents=True, exist_ok=True)
            path.rename(target)


# --- made by hand ---------------------------------------------------------------------


def by_hand(python):
    nodots = "311"

    def put(stage, path, text, mode=0o644):
        file = stage / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text.replace("@PYVER@", "3.11").replace("@PYNODOTS@", nodots).replace("@DEFAULT@", DEFAULT_PYTHON).replace("@SAFE_PATH@", SAFE_PATH).replace("@BOTH_NAMES@", BOTH_NAMES))
        file.chmod(mode)

    def own(name):
        return (HERE / "files" / name).read_text()

    def package(name, tags=(), fill=lambda stage: None, version="9"):
        stage = WORK / "stage" / name
        stage.mkdir(parents=True)
        fill(stage)
        rpmbuild(name, version, stage, list(tags), noarch=True)

    def release(stage):
        put(stage, "etc/os-release", 'NAME="ReqPM test distribution"\nID="rhel"\nID_LIKE="fedora"\nVERSION_ID="9"\nPLATFORM_ID="platform:el9"\nPRETTY_NAME="ReqPM test distribution"\n')
        put(stage, "etc/redhat-release", "ReqPM test distribution release 9\n")
        put(stage, "usr/lib/rpm/macros.d/macros.dist", f"%rhel {RELEASE}\n%el{RELEASE} 1\n%dist .eld\n")

    def setup(stage):
        put(stage, "etc/passwd", "root:x:0:0:root:/root:/bin/bash\nbin:x:1:1:bin:/bin:/sbin/nologin\nnobody:x:65534:65534:nobody:/:/sbin/nologin\n")
        put(stage, "etc/group", "root:x:0:\nbin:x:1:\nnobody:x:65534:\n")
        put(stage, "etc/nsswitch.conf", "passwd: files\ngroup: files\nhosts: files dns\n")
        put(stage, "etc/hosts", "127.0.0.1 localhost\n::1 localhost\n")
        put(stage, "etc/shells", "/bin/sh\n/bin/bash\n")
        put(stage, "etc/profile", "export PATH=/usr/local/bin:/usr/bin:/usr/sbin\n")

    def config(stage):
        put(stage, "usr/lib/rpm/redhat/macros", own("macros.redhat-rpm-config"))
        put(stage, "usr/lib/rpm/redhat/brp-mangle-shebangs", own("brp-mangle-shebangs"), 0o755)
        if not in_macro_packages("brp-python-bytecompile"):
            put(stage, "usr/lib/rpm/redhat/brp-python-bytecompile", own("brp-python-bytecompile"), 0o755)
        put(stage, "usr/lib/rpm/redhat/rpmrc", "optflags: x86_64 %{__el_optflags}\n")
        # Debian's rpm reads its vendor's macros; the vendor is another one here.
        link(stage, "redhat", "usr/lib/rpm/debian")

    def generators(stage):
        shutil.copytree(WORK / "generators", stage, dirs_exist_ok=True)
        (stage / "usr/lib/rpm/pythondistdeps.py").chmod(0o755)
        for name in ("pythondist.attr", "pythonname.attr"):
            put(stage, f"usr/lib/rpm/fileattrs/{name}", own(name))

    def macros(stage):
        put(stage, "usr/lib/rpm/macros.d/macros.python", python_macros(own("macros.python"))[1])

    def pyproject(stage):
        put(stage, "usr/lib/rpm/macros.d/macros.pyproject", own("macros.pyproject"))
        put(stage, "usr/lib/rpm/redhat/pyproject_helper.py", own("pyproject_helper.py"))

    package("setup", fill=setup)
    if LIKE == "el9":
        # What the generators run with there, for the release's own Python.
        package("python3-packaging", ["Requires: python3.11dist(packaging)"])
    package("redhat-release", ["Provides: system-release = 9", "Provides: rocky-release = 9", "Requires: setup"], release)
    package("glibc-minimal-langpack", ["Requires: filesystem"])
    # 200: newer than the one that gave its brp scripts for Python to python-srpm-macros.
    package("redhat-rpm-config", ["Requires: python-srpm-macros redhat-release", "Provides: system-rpm-config = 9"], config, version="200")
    filesystem()
    if REAL:
        real_macros()
        return
    package("python-srpm-macros", fill=lambda s: put(s, "usr/lib/rpm/macros.d/macros.python-srpm", python_macros(own("macros.python"))[0]))
    package("python-rpm-macros", ["Requires: python-srpm-macros"], macros)
    package("python3-rpm-macros", ["Requires: python-rpm-macros", "Provides: python3.11-rpm-macros = 9"])
    package("python3-rpm-generators", ["Requires: python3-packaging python3"], generators)
    package("pyproject-rpm-macros", ["Requires: python-rpm-macros python3-rpm-generators findutils sed"], pyproject, version="1.16.2")


# The source packages in MACROSDIR, each a folder of that name as a dist-git repository has it.
MACRO_PACKAGES = ("python-rpm-macros", "python-rpm-generators", "pyproject-rpm-macros")


def in_macro_packages(name):
    return REAL is not None and any(any((REAL / package).rglob(name)) for package in MACRO_PACKAGES)


def real_macros():
    """Builds a release's own macro packages with their own specs."""
    for package in MACRO_PACKAGES:
        specs = list((REAL / package).rglob(f"{package}.spec"))
        if len(specs) != 1:
            sys.exit(f"{REAL / package}: want one {package}.spec, found {len(specs)}")
        sources = REAL / package / "SOURCES"
        defines = {
            "_topdir": WORK / "top" / package, "_rpmdir": OUT / "Packages", "_sourcedir": sources if sources.is_dir() else specs[0].parent,
            "_build_name_fmt": "%%{NAME}-%%{VERSION}-%%{RELEASE}.%%{ARCH}.rpm", "_dbpath": WORK / "db", "_binary_payload": "w1.zstdio",
            "__os_install_post": "%{nil}", "rpmmacrodir": "/usr/lib/rpm/macros.d", "rhel": RELEASE, "dist": ".eld",
        }
        args = [word for name, value in defines.items() for word in ("--define", f"{name} {value}")]
        run("rpmbuild", "-bb", "--nodeps", "--nocheck", "--without", "tests", *args, specs[0], env={"PATH": os.environ["PATH"], "HOME": str(WORK), "LC_ALL": "C.UTF-8"})



def python_macros(text):
    """The few that parse a spec before its BuildRequires are there, and the rest."""
    early = re.compile(r"^%(__default_python3_\w+|python3_pkgversion|__python3|python3) ")
    lines = text.splitlines(keepends=True)
    return "".join(l for l in lines if early.match(l)), "".join(l for l in lines if not early.match(l))


def filesystem():
    stage = WORK / "stage/filesystem"
    for path in FILESYSTEM:
        (stage / path.lstrip("/")).mkdir(parents=True, exist_ok=True)
    for name in ("bin", "sbin", "lib", "lib64"):
        link(stage, f"usr/{name}", name)
    link(stage, "../lib64", f"usr/lib/{TRIPLE}")
    tags = ["Requires(pre): setup"] + [f"Provides: filesystem({d}) = 9" for d in ("/usr", "/bin", "/lib64", "/sbin")]
    top = WORK / "top/filesystem"
    top.mkdir(parents=True)
    spec = top / "filesystem.spec"
    text = spec_of("filesystem", "9", stage, tags, False)
    modes = {"/tmp": "1777", "/var/tmp": "1777", "/root": "0700", "/proc": "0555", "/sys": "0555"}
    text += "".join(f"%dir %attr({modes.get(p, '0755')},root,root) {p}\n" for p in FILESYSTEM if p != "/")
    spec.write_text(text)
    run("rpmbuild", "-bb", "--quiet", "--target", "x86_64", "--define", f"_topdir {top}", "--define", f"_rpmdir {OUT}/Packages", "--define", "__os_install_post %{nil}",
        "--define", "_build_name_fmt %%{NAME}-%%{VERSION}-%%{RELEASE}.%%{ARCH}.rpm", "--define", f"_dbpath {WORK}/db", "--define", f"_fileattrsdir {WORK}/attrs",
        "--define", "debug_package %{nil}", spec, env={"PATH": os.environ["PATH"], "HOME": str(WORK)})


def main():
    if run("dpkg", "--print-architecture").strip() != "amd64":
        sys.exit("the recipe is for amd64 only")
    for old in (WORK, OUT / "Packages", OUT / "repodata"):
        shutil.rmtree(old, ignore_errors=True)
    (WORK / "attrs").mkdir(parents=True)
    shutil.copy("/usr/lib/rpm/fileattrs/elf.attr", WORK / "attrs")
    (OUT / "Packages").mkdir()

    found = closure()
    paths = download(found)
    groups = {}
    for deb in sorted(found):
        groups.setdefault(NAMES.get(deb, deb), []).append(deb)
    print(f"{len(found)} Debian packages become {len(groups)} RPMs", file=sys.stderr)
    with concurrent.futures.ThreadPoolExecutor(JOBS) as pool:
        # The big ones first: they decide when it ends.
        order = sorted(groups, key=lambda g: -sum(int(found[d].get("Installed-Size", 0)) for d in groups[g]))
        for task in [pool.submit(build_group, rpm, groups[rpm], found, paths) for rpm in order]:
            task.result()
    by_hand(found)
    run("createrepo_c", "--quiet", "--no-database", "--simple-md-filenames", "--general-compress-type=gz", "--excludes", ".work/*", "--excludes", ".debs/*", str(OUT))
    shutil.rmtree(WORK)


main()
