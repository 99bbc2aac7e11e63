#!/bin/sh
# make.sh OUTDIR [el9|el10 [MACROSDIR]]: makes a small dnf repository with EL's layout from
# Debian packages; with a release's name its Python is what that release's 3.12 is (EL 9: a stack
# beside the release's own, EL 10: the release's own), and with MACROSDIR the macros and generators
# are a release's own, made from the source packages in there (see README.md).
# With ELDISTRO_NATIVE set it also has cmake, ninja, Rust and the headers of a few libraries.
# Does nothing when OUTDIR/.stamp says that this very script made the same on this release.
set -eu

if [ $# -lt 1 ] || [ $# -gt 3 ]; then
	echo "usage: $0 OUTDIR [el9|el10 [MACROSDIR]]" >&2
	exit 2
fi
like=${2:-} macros=
case $like in
'' | el9 | el10) ;;
*)
	echo "$0: $like: el9 or el10" >&2
	exit 2
	;;
esac
if [ $# -eq 3 ]; then
	macros=$(cd "$3" && pwd)
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

stamp=$( (cat /etc/debian_version && cd "$here" && find make.sh mkdistro.py target.toml files -type f | LC_ALL=C sort | xargs sha256sum
	echo "$like${ELDISTRO_NATIVE:+ native}" && [ -z "$macros" ] || (cd "$macros" && find . -type f | LC_ALL=C sort | xargs sha256sum)) | sha256sum | cut -c1-64)
if [ "$(cat "$out/.stamp" 2>/dev/null)" = "$stamp" ]; then
	exit 0
fi
rm -f "$out/.stamp"
/usr/bin/python3 -B "$here/mkdistro.py" "$out" ${like:+"$like"} ${macros:+"$macros"}
own=', default = true'
if [ "$like" = el9 ]; then
	own=
fi
sed "s|@OUTDIR@|$out|g; s|@OWN@|$own|" "$here/target.toml" >"$out/target.toml"
echo "$stamp" >"$out/.stamp"
