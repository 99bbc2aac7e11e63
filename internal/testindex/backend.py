"""A whole PEP 517 backend in one file: it makes a wheel of what package.json says."""
import base64, hashlib, importlib, json, os, time, zipfile

HERE = os.path.dirname(os.path.abspath(__file__))
with open(os.path.join(HERE, "package.json"), encoding="utf-8") as f:
    P = json.load(f)
if P["fault"] == "wrong-wheel-name":
    P["metadata"] = P["metadata"].replace("Name: ", "Name: somebody-else-", 1)
    P["stem"] = "somebody_else_" + P["stem"]


def get_requires_for_build_wheel(config_settings=None):
    if P["fault"] == "hook-fails":
        raise RuntimeError("this hook fails on purpose")
    return P["hook_requires"]


def _info():
    return "%s-%s.dist-info" % (P["stem"], P["version"])


def _texts():
    texts = {_info() + "/METADATA": P["metadata"],
             _info() + "/WHEEL": "Wheel-Version: 1.0\nGenerator: testindex\nRoot-Is-Purelib: true\nTag: py3-none-any\n"}
    if P["scripts"]:
        texts[_info() + "/entry_points.txt"] = "[console_scripts]\n" + "".join("%s\n" % s for s in P["scripts"])
    return texts


def prepare_metadata_for_build_wheel(metadata_directory, config_settings=None):
    for name, text in _texts().items():
        path = os.path.join(metadata_directory, name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "w", encoding="utf-8") as f:
            f.write(text)
    return _info()


def build_wheel(wheel_directory, config_settings=None, metadata_directory=None):
    for module in P["imports"]:
        print("build tool", importlib.import_module(module).__name__, "is here", flush=True)
    if P["seconds"]:
        time.sleep(P["seconds"])
    if P["fault"] == "build-fails":
        raise SystemExit("this build fails on purpose")
    name = "%s-%s-py3-none-any.whl" % (P["stem"], P["version"])
    files = {k: v.encode() for k, v in _texts().items()}
    for path in P["files"]:
        with open(path, "rb") as f:
            files[path] = f.read()
    record = ""
    with zipfile.ZipFile(os.path.join(wheel_directory, name), "w") as z:
        for path, data in sorted(files.items()):
            z.writestr(path, data)
            digest = base64.urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b"=").decode()
            record += "%s,sha256=%s,%d\n" % (path, digest, len(data))
        z.writestr(_info() + "/RECORD", record + _info() + "/RECORD,,\n")
    return name
