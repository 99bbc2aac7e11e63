#!/bin/sh
# make.sh OUTDIR: makes a small dnf repository with EL's layout from Debian packages.
# Does nothing when OUTDIR/.stamp says that this very script made it on this release.
set -eu

if [ $# -ne 1 ]; then
	echo "usage: $0 OUTDIR" >&2
	exit 2
fi
here=$(cd "$(dirname "$0")" && pwd)
mkdir -p "$1"
out=$(cd "$1" && pwd)
case $out in
*[!A-Za-z0-9/._-]*)
	echo "$0: $out: only letters, digits and . _ - may be in the path; it becomes part of a URL and of macros" >&2
	exit 2
	;;
esac

for tool in apt-get apt-cache dpkg-deb rpmbuild createrepo_c tar python3 flock; do
	command -v "$tool" >/dev/null || {
		echo "$0: $tool is missing; on Debian: apt-get install rpm createrepo-c python3" >&2
		exit 4
	}
done

# One at a time; the second one finds the work done.
exec 9>"$out/.lock"
flock 9

stamp=$( (cat /etc/debian_version && cd "$here" && find make.sh mkdistro.py target.toml files -type f | LC_ALL=C sort | xargs sha256sum) | sha256sum | cut -c1-64)
if [ "$(cat "$out/.stamp" 2>/dev/null)" = "$stamp" ]; then
	exit 0
fi
rm -f "$out/.stamp"
/usr/bin/python3 -B "$here/mkdistro.py" "$out"
sed "s|@OUTDIR@|$out|g" "$here/target.toml" >"$out/target.toml"
echo "$stamp" >"$out/.stamp"
