"""A PEP 517 backend in one file that compiles one extension module with gcc."""
import base64, hashlib, os, subprocess, sysconfig, zipfile

INFO = "quick-1.5.dist-info"
METADATA = "Metadata-Version: 2.2\nName: quick\nVersion: 1.5\nSummary: A little C\nLicense: MIT\n"


def get_requires_for_build_wheel(config_settings=None):
    return []


def build_wheel(wheel_directory, config_settings=None, metadata_directory=None):
    import tool_top
    suffix = sysconfig.get_config_var("EXT_SUFFIX")
    tag = "cp%s-cp%s-linux_x86_64" % ((sysconfig.get_config_var("py_version_nodot"),) * 2)
    subprocess.run(["gcc", "-shared", "-fPIC", "-O1", "-g", "-I" + sysconfig.get_paths()["include"],
                    "-o", "quick/_quick" + suffix, "quick/_quick.c"], check=True)
    files = {INFO + "/METADATA": METADATA.encode(),
             INFO + "/WHEEL": ("Wheel-Version: 1.0\nGenerator: cbackend\nRoot-Is-Purelib: false\nTag: %s\n" % tag).encode()}
    for path in ["quick/__init__.py", "quick/_quick" + suffix]:
        with open(path, "rb") as f:
            files[path] = f.read()
    name = "quick-1.5-%s.whl" % tag
    record = ""
    with zipfile.ZipFile(os.path.join(wheel_directory, name), "w") as z:
        for path, data in sorted(files.items()):
            z.writestr(path, data)
            digest = base64.urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b"=").decode()
            record += "%s,sha256=%s,%d\n" % (path, digest, len(data))
        z.writestr(INFO + "/RECORD", record + INFO + "/RECORD,,\n")
    return name
