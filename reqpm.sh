#!/usr/bin/env bash
# The one entry for people: sets up what is missing, says what it installs, and does the work.
#   ./reqpm.sh demo   builds examples/hello-web from source to an installed package
#   ./reqpm.sh test   runs every test
# Both can be run twice. Linux with apt-get (Debian, Ubuntu) or dnf (Fedora, EL).
set -euo pipefail
cd "$(dirname "$(readlink -f "$0")")"

GO_VERSION=1.26.8 # used when the machine's own Go is older than go.mod asks for
LINT_VERSION=v2.15.0
CACHE=${REQPM_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/reqpm-setup}

say() { printf '\033[1m==> %s\033[0m\n' "$*" >&2; }
die() { printf 'reqpm.sh: %s\n' "$*" >&2; exit 4; }

SUDO=""
if [ "$(id -u)" -ne 0 ]; then
  command -v sudo >/dev/null || die "building mounts file systems and needs root; become root, or install sudo"
  SUDO=sudo
fi

# install PROGRAM-LIST: names of Debian packages; those that are there are left alone.
install_packages() {
  local missing=() p
  if command -v apt-get >/dev/null; then
    for p in "$@"; do
      dpkg-query -W -f '${db:Status-Status}' "$p" 2>/dev/null | grep -qx installed || missing+=("$p")
    done
    [ ${#missing[@]} -eq 0 ] && return
    say "apt-get install ${missing[*]}"
    $SUDO apt-get update -qq
    DEBIAN_FRONTEND=noninteractive $SUDO apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null
  elif command -v dnf >/dev/null; then
    for p in $(for p in "$@"; do fedora_names "$p"; done); do
      rpm -q --whatprovides "$p" >/dev/null 2>&1 || missing+=("$p")
    done
    [ ${#missing[@]} -eq 0 ] && return
    say "dnf install ${missing[*]}"
    $SUDO dnf install -y -q "${missing[@]}"
  else
    die "neither apt-get nor dnf here; install: $*"
  fi
}

# fedora_names are what Fedora and EL call a Debian package: none, one or several.
fedora_names() {
  case $1 in
    createrepo-c) echo createrepo_c ;;
    g++) echo gcc-c++ ;;
    postgresql) echo postgresql-server ;;
    rpm) echo rpm-build rpm-sign ;;
    libffi-dev) echo libffi-devel ;;
    gnupg) echo gnupg2 ;;
    xz-utils) echo xz ;;
    golang-go) echo golang ;;
    python3-dev) echo python3-devel ;;
    libc6-dev | ca-certificates) echo ;;
    *) echo "$1" ;;
  esac
}

# need_go puts a Go on PATH that go.mod accepts: the machine's own, else the toolchain that the
# module proxy serves (its address is Go's own setting).
need_go() {
  local have
  have=$(go version 2>/dev/null | sed -n 's/^go version go\([0-9.]*\).*/\1/p' || true)
  if [ -n "$have" ] && [ "$(printf '%s\n1.26\n' "$have" | sort -V | head -n1)" = 1.26 ]; then return; fi
  local arch toolchain=$CACHE/go$GO_VERSION
  case $(uname -m) in x86_64) arch=amd64 ;; aarch64) arch=arm64 ;; *) die "no Go toolchain for $(uname -m)" ;; esac
  if [ ! -x "$toolchain/bin/go" ]; then
    install_packages golang-go curl unzip ca-certificates
    local proxy name=v0.0.1-go$GO_VERSION.linux-$arch
    proxy=$(go env GOPROXY | tr ',|' '\n\n' | grep -m1 '^http') || die "go env GOPROXY names no proxy to fetch Go $GO_VERSION from"
    say "Go $GO_VERSION from the module proxy, into $toolchain"
    mkdir -p "$CACHE"
    curl -fsSL -o "$CACHE/go.zip" "${proxy%/}/golang.org/toolchain/@v/$name.zip"
    rm -rf "$CACHE/go.tmp" && mkdir "$CACHE/go.tmp"
    unzip -q "$CACHE/go.zip" -d "$CACHE/go.tmp"
    rm -rf "$toolchain" && mv "$CACHE/go.tmp/golang.org/toolchain@$name" "$toolchain"
    chmod -R u+w "$toolchain" && chmod +x "$toolchain"/bin/* "$toolchain"/pkg/tool/*/* 
    rm -rf "$CACHE/go.zip" "$CACHE/go.tmp"
  fi
  export PATH="$toolchain/bin:$PATH" GOTOOLCHAIN=local
}

need_build_tools() {
  install_packages git rpm dnf dnf-plugins-core createrepo-c bubblewrap gnupg gcc g++ libc6-dev make \
    xz-utils python3 python3-dev python3-pip python3-packaging ca-certificates
}

build_binary() {
  need_go
  say "build ./reqpm"
  CGO_ENABLED=0 go build -trimpath -ldflags "-X main.version=$(git describe --always --dirty 2>/dev/null || echo unknown)" -o reqpm ./cmd/reqpm
}

demo() {
  need_build_tools
  build_binary
  say "reqpm build examples/hello-web"
  $SUDO ./reqpm build examples/hello-web --proof-command 'hello-web --self-test' "$@"
}

lint() {
  if ! golangci-lint version 2>/dev/null | grep -q "${LINT_VERSION#v}"; then
    if [ ! -x "$CACHE/bin/golangci-lint-$LINT_VERSION" ]; then
      say "golangci-lint $LINT_VERSION from the module proxy"
      GOBIN="$CACHE/bin" go install "github.com/golangci/golangci-lint/v2/cmd/golangci-lint@$LINT_VERSION"
      mv "$CACHE/bin/golangci-lint" "$CACHE/bin/golangci-lint-$LINT_VERSION"
    fi
    say "lint"
    "$CACHE/bin/golangci-lint-$LINT_VERSION" run ./...
  else
    say "lint"
    golangci-lint run ./...
  fi
}

run_tests() {
  need_build_tools
  install_packages cpio zstd libffi-dev util-linux file rpmlint postgresql
  build_binary
  lint
  say "make the EL-like test distribution"
  $SUDO test/eldistro/make.sh "${REQPM_ELDISTRO:=$CACHE/eldistro}"
  export REQPM_ELDISTRO
  say "go test -race, with the real index, real dnf and real builds"
  REQPM_NETWORK=1 REQPM_E2E=1 $SUDO env "PATH=$PATH" "HOME=$HOME" REQPM_NETWORK=1 REQPM_E2E=1 REQPM_ELDISTRO="$REQPM_ELDISTRO" \
    go test -race -timeout 40m "$@" ./...
}

usage() {
  sed -n '2,5s/^# \{0,1\}//p' "$0"
}

case ${1:-help} in
  demo) shift; demo "$@" ;;
  test) shift; run_tests "$@" ;;
  help | -h | --help) usage ;;
  *) usage >&2; exit 2 ;;
esac
