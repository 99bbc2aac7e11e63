#!/usr/bin/env bash
# The one entry for people: sets up what is missing, says what it installs, and does the work.
#   ./reqpm.sh demo    builds examples/hello-web from source to an installed package, in a service that it leaves running
#   ./reqpm.sh test    runs every test
#   ./reqpm.sh start   [SERVICE] [-- FLAG…]   starts the service in the background (flags: those of 'reqpm serve')
#   ./reqpm.sh stop    [SERVICE] [--wait]     stops it: what runs is handed back, or waited for
#   ./reqpm.sh restart [SERVICE] [--wait]
#   ./reqpm.sh status  [SERVICE]              says state, pid, since, health, address; status 0 running, 1 not well, 3 not running
#   ./reqpm.sh logs    [SERVICE] [-f]
# SERVICE is all (default: one process) or, with PostgreSQL in REQPM_DATABASE, web, worker or scheduler. REQPM_STATE is the
# state directory, REQPM_LISTEN the address (127.0.0.1:8470). All can be run twice. Linux with apt-get (Debian, Ubuntu) or
# dnf (Fedora, EL).
set -euo pipefail
cd "$(dirname "$(readlink -f "$0")")"

GO_VERSION=1.26.8 # used when the machine's own Go is older than go.mod asks for
LINT_VERSION=v2.15.0
VERSITYGW_VERSION=v1.8.0 # the S3 server of the tests
AXE_VERSION=4.14.1 # what looks whether pages can be used by everybody
AXE_SHA512='FHfa+lmNjQZfJz1q8wKqIDwC6DExcHt/pkjNQb09a3NPjCKg2rhu5qb2S4r76ASyFNNtuFooJpZe37OgudVGtQ=='
CACHE=${REQPM_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/reqpm-setup}

say() { printf '\033[1m==> %s\033[0m\n' "$*" >&2; }
die() { printf 'reqpm.sh: %s\n' "$*" >&2; exit 4; }

# need_root finds out how to become root. A user namespace is not enough: a build root has files of several users, and overlay
# mounts with marks that only the machine's own root may make.
SUDO=""
need_root() {
  [ "$(id -u)" -ne 0 ] || return 0
  command -v sudo >/dev/null || die "this needs root, for builds mount their roots and packages are installed, and there is no sudo here: run it as root, or install sudo"
  SUDO=sudo
}

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
  CGO_ENABLED=0 go build -trimpath -ldflags "-X main.version=${REQPM_VERSION:-$(git describe --always --dirty 2>/dev/null || echo unknown)}" -o reqpm ./cmd/reqpm
}

# The service. Each process has, below service/ of the state directory, NAME.pid (pid, start time, boot: a pid that somebody
# else has now is told apart), NAME.log, NAME.out (what it said when it was ready) and NAME.flags.

state_dir() {
  # shellcheck disable=SC2016 # of the user that runs the service
  if [ -n "${REQPM_STATE:-}" ]; then readlink -m "$REQPM_STATE"; else $SUDO sh -c 'echo "${XDG_STATE_HOME:-$HOME/.local/state}/reqpm"'; fi
}

# as_root runs this script again as root, once: the service builds, which needs it.
as_root() {
  [ -z "$SUDO" ] && return
  exec $SUDO env REQPM_STATE="$(state_dir)" ${REQPM_LISTEN:+REQPM_LISTEN="$REQPM_LISTEN"} ${REQPM_DATABASE:+REQPM_DATABASE="$REQPM_DATABASE"} REQPM_BUILT=1 ./reqpm.sh "$@"
}

# service_args reads [SERVICE] [--wait] [-f] [-- FLAG…] into SERVICES, WAIT, FOLLOW and FLAGS.
service_args() {
  local name=""
  WAIT="" FOLLOW="" FLAGS=() FLAGGED=""
  while [ $# -gt 0 ]; do
    case $1 in
      all | web | worker | scheduler) name=$1 ;;
      --wait) WAIT=1 ;;
      -f | --follow) FOLLOW=1 ;;
      --) shift; FLAGS=("$@") FLAGGED=1; break ;;
      *) printf 'reqpm.sh: %s: the services are all, web, worker and scheduler\n' "$1" >&2; exit 2 ;;
    esac
    shift
  done
  DIR=$(state_dir)/service
  SERVICES=("${name:-all}")
  # Without a name, what was started as several processes is meant.
  if [ -z "$name" ] && [ ! -e "$DIR/all.pid" ]; then
    local several=()
    for name in web worker scheduler; do [ -e "$DIR/$name.pid" ] && several+=("$name"); done
    [ ${#several[@]} -eq 0 ] || SERVICES=("${several[@]}")
  fi
}

# identity says who a pid is: it and its start time and boot are nobody else's.
identity() {
  local stat
  stat=$(cat "/proc/$1/stat" 2>/dev/null) || return 1
  stat=${stat##*) }
  # shellcheck disable=SC2086 # fields of proc(5), from the third
  set -- "$1" $stat
  [ "$2" != Z ] || return 1
  echo "$1 ${21} $(cat /proc/sys/kernel/random/boot_id)"
}

# running prints the pid of a service that runs.
running() {
  local said
  said=$(cat "$DIR/$1.pid" 2>/dev/null) && [ -n "$said" ] && [ "$(identity "${said%% *}" || true)" = "$said" ] && echo "${said%% *}"
}

address() { sed -n 's/.*"url":"\([^"]*\)".*/\1/p' "$DIR/$1.out" 2>/dev/null; }

address_of() { local url; url=$(address "$1"); echo "${url:+, $url}"; }

# health says how a running service is, and fails when it is not well.
health() {
  local url
  url=$(address "$1")
  if [ -n "$url" ]; then
    local said
    if said=$(env -u REQPM_TOKEN HOME=/nonexistent XDG_CONFIG_HOME=/nonexistent ./reqpm doctor --server "$url" 2>&1); then echo ready; else
      echo "not ready: $(printf '%s\n' "$said" | sed -n 's/^MISSING *//p' | head -n 1)"
      return 1
    fi
  elif grep -q '"started"' "$DIR/$1.out" 2>/dev/null; then echo started
  else echo "not ready: starting"; return 1; fi
}

start_one() {
  local name=$1 pid command=() flags=()
  if pid=$(running "$name"); then
    say "$name runs already, pid $pid$(address_of "$name")"
    return
  fi
  if [ "$name" != all ] && running all >/dev/null; then die "all runs, which does everything: stop it first"; fi
  if [ "$name" = all ]; then
    for other in web worker scheduler; do running "$other" >/dev/null && die "$other runs on its own: stop it first"; done
  fi
  case $name in
    all) command=(serve) ;;
    web) command=(serve --roles web) ;;
    scheduler) command=(serve --roles scheduler) ;;
    worker) command=(worker) ;;
  esac
  case $name:${REQPM_DATABASE:-} in
    all:* | *:postgres://* | *:postgresql://*) ;;
    *) die "web, worker and scheduler are processes of their own only with PostgreSQL: set REQPM_DATABASE=postgres://…
One process does everything on the embedded database: ./reqpm.sh start" ;;
  esac
  mkdir -p "$DIR"; chmod 700 "$DIR"
  if [ -n "$FLAGGED" ]; then printf '%s\0' ${FLAGS[@]+"${FLAGS[@]}"} >"$DIR/$name.flags"; fi
  if [ -s "$DIR/$name.flags" ]; then mapfile -d '' flags <"$DIR/$name.flags"; fi # those of the last start that named any
  case $name in all | web) command+=(--listen "${REQPM_LISTEN:-127.0.0.1:8470}") ;; esac
  if [ "$(stat -c %s "$DIR/$name.log" 2>/dev/null || echo 0)" -gt 20000000 ]; then mv "$DIR/$name.log" "$DIR/$name.log.1"; fi
  : >"$DIR/$name.out"
  # A session of its own: it outlives this terminal, and what is left of it can be ended as a group.
  REQPM_STATE=$(state_dir) setsid nohup ./reqpm "${command[@]}" -v ${flags[@]+"${flags[@]}"} </dev/null >"$DIR/$name.out" 2>>"$DIR/$name.log" &
  pid=$!
  identity "$pid" >"$DIR/$name.pid" || true
  local since=$SECONDS
  until health "$name" >/dev/null; do
    if ! running "$name" >/dev/null; then
      rm -f "$DIR/$name.pid"
      tail -n 5 "$DIR/$name.log" >&2
      printf 'reqpm.sh: %s did not start; its log is %s\n' "$name" "$DIR/$name.log" >&2
      exit 1
    fi
    [ $((SECONDS - since)) -lt 120 ] || { printf 'reqpm.sh: %s is not ready after two minutes; its log is %s\n' "$name" "$DIR/$name.log" >&2; exit 1; }
    sleep 0.2
  done
  say "$name runs, pid $pid$(address_of "$name")"
  local link
  link=$(sed -n 's/.*"admin_link":"\([^"]*\)".*/\1/p' "$DIR/$name.out")
  if [ -n "$link" ]; then printf 'Set the first administrator, once, at\n  %s\n' "$link"; fi
}

stop_one() {
  local name=$1 pid since=$SECONDS limit=60
  if ! pid=$(running "$name"); then
    if [ -e "$DIR/$name.pid" ]; then say "$name does not run any more"; else say "$name does not run"; fi
    rm -f "$DIR/$name.pid"
    return
  fi
  if [ -n "$WAIT" ]; then
    say "stop $name, pid $pid, when what runs has ended (another stop without --wait hands it back)"
    kill -USR1 "$pid"
    limit=8000 # the process has a limit of its own, of two hours
  else
    say "stop $name, pid $pid: what runs is handed back"
    kill -TERM "$pid"
  fi
  while running "$name" >/dev/null; do
    if [ $((SECONDS - since)) -ge $limit ]; then
      say "$name did not stop within $limit s and is killed"
      kill -KILL -- "-$pid" 2>/dev/null || kill -KILL "$pid" 2>/dev/null || true
      limit=$((limit + 10))
    fi
    sleep 0.1
  done
  rm -f "$DIR/$name.pid"
  say "$name has stopped"
}

# status_one: 0 runs and is well, 1 runs and is not, 3 does not run.
status_one() {
  local name=$1 pid how code=0
  if ! pid=$(running "$name"); then
    if [ -e "$DIR/$name.pid" ]; then echo "$name: not running (it ended without being stopped; its log is $DIR/$name.log)"; else echo "$name: not running"; fi
    return 3
  fi
  how=$(health "$name") || code=1
  echo "$name: running, pid $pid, since $(ps -o lstart= -p "$pid"), $how$(address_of "$name")"
  return $code
}

service() {
  local verb=$1 name code=0 worst=0
  shift
  service_args "$@"
  case $verb in
    start | restart)
      if [ -z "${REQPM_BUILT:-}" ]; then need_build_tools; build_binary; fi ;;
  esac
  as_root "$verb" "$@"
  case $verb in
    start) for name in "${SERVICES[@]}"; do start_one "$name"; done ;;
    stop) for name in "${SERVICES[@]}"; do stop_one "$name"; done ;;
    restart) for name in "${SERVICES[@]}"; do stop_one "$name"; start_one "$name"; done ;;
    status)
      for name in "${SERVICES[@]}"; do
        code=0; status_one "$name" || code=$?
        if [ $code -gt $worst ]; then worst=$code; fi
      done
      exit $worst ;;
    logs)
      local files=()
      for name in "${SERVICES[@]}"; do [ -e "$DIR/$name.log" ] && files+=("$DIR/$name.log"); done
      [ ${#files[@]} -gt 0 ] || { echo "reqpm.sh: there is no log yet; ./reqpm.sh start" >&2; exit 3; }
      exec tail -n 200 ${FOLLOW:+-F} "${files[@]}" ;;
  esac
}

demo() {
  if [ -z "${REQPM_BUILT:-}" ]; then need_build_tools; build_binary; fi
  as_root demo "$@"
  local url token git
  service_args all -- --public-repositories --allow-source local # the example is a folder of this machine
  start_one all
  url=$(address all)
  export REQPM_STATE; REQPM_STATE=$(state_dir)
  # What ReqPM takes is a Git address: the example gets a repository of its own, with the same commit each time.
  git=$REQPM_STATE/demo/hello-web
  rm -rf "$git.new"; mkdir -p "$git.new"
  cp -r examples/hello-web/. "$git.new/"
  (
    cd "$git.new"
    export GIT_CONFIG_NOSYSTEM=1 GIT_CONFIG_GLOBAL=/dev/null GIT_AUTHOR_NAME=ReqPM GIT_AUTHOR_EMAIL=demo@localhost GIT_COMMITTER_NAME=ReqPM GIT_COMMITTER_EMAIL=demo@localhost
    export GIT_AUTHOR_DATE='2026-01-01T00:00:00Z' GIT_COMMITTER_DATE='2026-01-01T00:00:00Z'
    git init -q -b main && git add . && git commit -q -m "The example"
  )
  rm -rf "$git"; mv "$git.new" "$git"
  token=$(./reqpm token create --role maintainer --name demo --expires 1h 2>/dev/null)
  ask() { REQPM_TOKEN=$token REQPM_SERVER=$url ./reqpm "$@"; }
  if ask project show hello-web >/dev/null 2>&1; then
    say "the project hello-web once more"
    ask run start hello-web --follow "$@"
  else
    say "the project hello-web, from $git"
    ask project create hello-web "file://$git" --proof-command 'hello-web --self-test' --follow "$@"
  fi
  printf '\nThe service goes on at %s\n  ./reqpm.sh status, logs -f, stop\n' "$url"
  local link
  link=$(sed -n 's/.*"admin_link":"\([^"]*\)".*/\1/p' "$DIR/all.out")
  if [ -n "$link" ]; then printf 'Set its first administrator, once, at\n  %s\n' "$link"; fi
}

lint() {
  if ! golangci-lint version 2>/dev/null | grep -q "${LINT_VERSION#v}"; then
    if [ ! -x "$CACHE/bin/golangci-lint-$LINT_VERSION" ]; then
      say "golangci-lint $LINT_VERSION from the module proxy"
      GOBIN="$CACHE/bin" go install "github.com/golangci/golangci-lint/v2/cmd/golangci-lint@$LINT_VERSION"
      mv "$CACHE/bin/golangci-lint" "$CACHE/bin/golangci-lint-$LINT_VERSION"
    fi
    say "lint"
    "$CACHE/bin/golangci-lint-$LINT_VERSION" run --allow-parallel-runners ./...
  else
    say "lint"
    golangci-lint run --allow-parallel-runners ./...
  fi
}

# s3_server builds the S3 server that tests start, once: some minutes.
s3_server() {
  export REQPM_VERSITYGW=$CACHE/bin/versitygw-$VERSITYGW_VERSION
  [ -x "$REQPM_VERSITYGW" ] && return
  say "versitygw $VERSITYGW_VERSION from the module proxy"
  GOBIN="$CACHE/bin" go install "github.com/versity/versitygw/cmd/versitygw@$VERSITYGW_VERSION"
  mv "$CACHE/bin/versitygw" "$REQPM_VERSITYGW"
}

# axe fetches axe-core through npm, once. Without npm, or where it has no such package, the pages are not looked at with it:
# the test says so.
axe() {
  local dir=$CACHE/axe-core-$AXE_VERSION
  export REQPM_AXE=$dir/axe.min.js
  [ -e "$REQPM_AXE" ] && return
  REQPM_AXE=""
  command -v npm >/dev/null || return 0
  say "axe-core $AXE_VERSION through npm"
  mkdir -p "$dir"
  (cd "$dir" && npm pack --silent "axe-core@$AXE_VERSION" >/dev/null) || return 0
  if [ "$(openssl dgst -sha512 -binary "$dir/axe-core-$AXE_VERSION.tgz" | base64 -w 0)" != "$AXE_SHA512" ]; then
    rm -rf "$dir"
    die "axe-core $AXE_VERSION came with another content than expected"
  fi
  tar -xzf "$dir/axe-core-$AXE_VERSION.tgz" -C "$dir" --strip-components 1 package/axe.min.js
  rm "$dir/axe-core-$AXE_VERSION.tgz"
  REQPM_AXE=$dir/axe.min.js
}

run_tests() {
  need_build_tools
  install_packages cpio zstd libffi-dev util-linux file rpmlint postgresql chromium openssl
  build_binary
  lint
  s3_server
  axe
  say "make the EL-like test distribution"
  $SUDO test/eldistro/make.sh "${REQPM_ELDISTRO:=$CACHE/eldistro}"
  export REQPM_ELDISTRO
  say "go test -race, with the real index, real dnf and real builds"
  REQPM_NETWORK=1 REQPM_E2E=1 $SUDO env "PATH=$PATH" "HOME=$HOME" REQPM_NETWORK=1 REQPM_E2E=1 REQPM_ELDISTRO="$REQPM_ELDISTRO" \
    REQPM_VERSITYGW="$REQPM_VERSITYGW" REQPM_AXE="$REQPM_AXE" \
    go test -race -timeout 40m "$@" ./...
}

usage() {
  sed -n '2,12s/^# \{0,1\}//p' "$0"
}

case ${1:-help} in
  demo | test | start | stop | restart | status | logs) need_root ;;
esac
case ${1:-help} in
  demo) shift; demo "$@" ;;
  test) shift; run_tests "$@" ;;
  binary) shift; build_binary ;; # for the container recipe
  start) shift; service start "$@" ;;
  stop) shift; service stop "$@" ;;
  restart) shift; service restart "$@" ;;
  status) shift; service status "$@" ;;
  logs) shift; service logs "$@" ;;
  help | -h | --help) usage ;;
  *) usage >&2; exit 2 ;;
esac
