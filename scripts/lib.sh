# shellcheck shell=bash
# shellcheck disable=SC2034  # who sources it uses them
# Shared by the scripts beside it: where things lie, free ports, and starting and stopping a service that outlives its
# script. To be sourced; needs bash 5.1, setsid and flock (util-linux), awk.

ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
SCRIPTS=$ROOT/scripts
# What was downloaded; kept between runs.
CACHE=$(realpath -m "${ORDERMILL_CACHE:-$ROOT/.cache}")
export PATH=$PATH:$HOME/.cargo/bin:/usr/sbin:/sbin

KAFKA_VERSION=4.3.1
REGISTRY_VERSION=2.6.13.Final
KAFKA_HOME=$CACHE/kafka-$KAFKA_VERSION
REGISTRY_HOME=$CACHE/registry-$REGISTRY_VERSION
PYTHON_HOME=$CACHE/python
# Both Helms that people use; the newer one's folder also has the kubectl of its Kubernetes.
HELM_3=$CACHE/helm-3.17.2
HELM_4=$CACHE/helm-4.3.1
# A control plane of the newest Kubernetes with fake nodes.
KUBERNETES_HOME=$CACHE/kubernetes-1.37.2
KWOK_VERSION=0.8.0

note() { printf '%s\n' "$*" >&2; }
fail() {
  note "${0##*/}: $*"
  exit 1
}

# usage_of FILE: the usage lines of a script, as they stand in its head.
usage_of() { sed -nE 's/^# (usage: .*|       .*)/\1/p' "$1"; }

# need_arguments COUNT "$@": fails with the script's usage when fewer were given.
need_arguments() {
  local least=$1
  shift
  (($# >= least)) && return
  usage_of "$0" >&2
  exit 2
}

# export_tools: the variables by which tests find the tools that are no services.
export_tools() {
  export ORDERMILL_TEST_PYTHON=$PYTHON_HOME/bin/python
  if [[ -x $HELM_3/helm && -x $HELM_4/helm ]]; then
    export ORDERMILL_TEST_HELM_3=$HELM_3/helm ORDERMILL_TEST_HELM_4=$HELM_4/helm
  fi
}

# === Processes ===
# A service's directory holds `pid`: the process id, the time of its start (so that a number used again is never taken
# for it) and the signal that stops it politely.

# stat_field PID NUMBER: a field of /proc/PID/stat, counted from 1 behind the command's name; nothing if it is gone.
stat_field() {
  local line fields
  read -r line 2>/dev/null <"/proc/$1/stat" || return 1
  read -r -a fields <<<"${line##*) }"
  printf '%s' "${fields[$2 - 1]}"
}
state_of() { stat_field "$1" 1; }
start_of() { stat_field "$1" 20; }

# is_running PIDFILE: whether the process that wrote it still runs. A zombie does not: process 1 of a container or a
# small machine may take seconds to reap it.
is_running() {
  local pid start rest state
  { read -r pid start rest <"$1"; } 2>/dev/null || return 1
  [[ $(start_of "$pid") == "$start" ]] || return 1
  state=$(state_of "$pid") || return 1
  [[ $state != [ZX] ]]
}

# start_process DIR SIGNAL LOG COMMAND...: runs COMMAND in DIR and writes DIR/pid. It is a session of its own, so that it
# outlives this script and no Ctrl-C reaches it; it holds none of the caller's files, so that $(kafka-up DIR) returns.
start_process() {
  local dir=$1 signal=$2 log=$3 pid
  shift 3
  (
    cd "$dir" || exit 1
    exec </dev/null >>"$log" 2>&1
    for fd in "/proc/$BASHPID/fd/"*; do
      fd=${fd##*/}
      if ((fd > 2 && fd != 255)); then eval "exec $fd>&-"; fi
    done
    exec setsid "$@"
  ) &
  pid=$!
  printf '%s %s %s\n' "$pid" "$(start_of "$pid")" "$signal" >"$dir/pid"
}

# wait_for SECONDS COMMAND...: runs COMMAND until it succeeds; 1 after SECONDS.
wait_for() {
  local end=$((${EPOCHREALTIME/[.,]/} + $1 * 1000000))
  shift
  until "$@"; do
    ((${EPOCHREALTIME/[.,]/} < end)) || return 1
    sleep 0.05
  done
}

# stop_process DIR [SIGNAL] [SECONDS]: stops what DIR/pid names and returns when it is gone; KILL after SECONDS.
stop_process() {
  local file=$1/pid signal=${2:-} seconds=${3:-20} pid start polite
  [[ -f $file ]] || return 0
  read -r pid start polite <"$file"
  if is_running "$file"; then
    kill -s "${signal:-$polite}" "$pid" 2>/dev/null || true
    if ! wait_for "$seconds" has_ended "$file"; then
      kill -s KILL "$pid" 2>/dev/null || true
      wait_for 10 has_ended "$file" || fail "process $pid of $1 does not end"
    fi
  fi
  rm -f "$file"
}
has_ended() { ! is_running "$1"; }

# stop_services DIR: stops every service in or below DIR, all at once.
stop_services() {
  local file jobs=()
  while IFS= read -r file; do
    stop_process "$(dirname "$file")" &
    jobs+=($!)
  done < <(find "$1" -name data -prune -o -type f -name pid -print 2>/dev/null)
  ((${#jobs[@]} == 0)) || wait "${jobs[@]}"
}

# free_port: a free loopback port below the kernel's ephemeral range, so that no outgoing connection can take it while
# its service is stopped. Who starts a service tries again with another when it was taken meanwhile.
free_port() {
  local low=10000 high=32768 port
  read -r high _ 2>/dev/null </proc/sys/net/ipv4/ip_local_port_range || true
  if ((high < low + 1000)); then low=20000 high=60000; fi
  while :; do
    port=$((low + SRANDOM % (high - low)))
    if ! (: <"/dev/tcp/127.0.0.1/$port") 2>/dev/null; then
      printf '%s' "$port"
      return
    fi
  done
}

# take_directory DIR SERVICE: DIR must be new, empty or one that SERVICE was started in before: a first start clears its
# data directory.
take_directory() {
  mkdir -p "$1"
  if [[ -n $(ls -A "$1") && $(cat "$1/service" 2>/dev/null) != "$2" ]]; then
    fail "$1 is not empty and no directory of a $2: choose another"
  fi
  printf '%s\n' "$2" >"$1/service"
}

# === Runs ===

# run_base: the directory for the runs' directories: ORDERMILL_RUN, else .run in the repository. Root's PostgreSQL runs as
# user postgres; when that user cannot reach the repository (a home of mode 700), a directory in /tmp.
run_base() {
  local base=${ORDERMILL_RUN:-$ROOT/.run}
  if [[ -z ${ORDERMILL_RUN:-} && $(id -u) == 0 ]] && ! as_postgres test -x "$ROOT"; then
    base=${TMPDIR:-/tmp}/ordermill-run$(printf %s "$ROOT" | cksum | cut -d' ' -f1)
  fi
  mkdir -p "$base"
  printf '%s' "$base"
}

# as_postgres COMMAND...: as user postgres when we are root (PostgreSQL refuses root), else as ourselves.
as_postgres() {
  if [[ $(id -u) == 0 ]]; then
    setpriv --reuid=postgres --regid="$(id -g postgres)" --clear-groups -- "$@"
  else
    "$@"
  fi
}

# === Java ===

# java_major JAVA: its version's first number; nothing when it does not say.
java_major() {
  local release version
  release=$(dirname "$(dirname "$(readlink -f "$1")")")/release
  if [[ -f $release ]]; then
    version=$(sed -n 's/^JAVA_VERSION="\(.*\)"/\1/p' "$release")
  else
    version=$("$1" -version 2>&1 | sed -n 's/.*version "\([^"]*\)".*/\1/p' | head -n 1)
  fi
  printf '%s' "${version%%.*}"
}

# find_java: the Java to run services with, 17 or later: JAVA, the path's, or one below /usr/lib/jvm.
find_java() {
  local java
  for java in "${JAVA:-}" "$(command -v java || true)" /usr/lib/jvm/*/bin/java; do
    if [[ -n $java && -x $java && $(java_major "$java") -ge 17 ]]; then
      printf '%s' "$java"
      return
    fi
  done
  return 1
}

# archive_for HOME JAVA: where HOME's class data archive for this Java lies. An archive fits one Java and one class path;
# the name holds both, so that another makes its own instead of starting slowly.
archive_for() {
  local java
  java=$(readlink -f "$2")
  printf '%s/classes-%s.jsa' "$1" "$(printf '%s %s %s' "$1" "$java" "$(stat -c %Y "$java")" | cksum | cut -d' ' -f1)"
}

# java_command HOME [OPTIONS...]: fills the array JAVA_COMMAND with Java and what every service of ours is run with.
java_command() {
  local home=$1 java archive
  shift
  java=$(find_java) || fail "no Java 17 or later: run scripts/setup test"
  archive=$(archive_for "$home" "$java")
  # the JVM's own remarks go to stderr: tools print answers to stdout
  JAVA_COMMAND=("$java" -XX:+UseSerialGC -XX:TieredStopAtLevel=1 -XX:-UsePerfData -Xss512k -Xlog:disable -Xlog:all=error:stderr)
  if [[ -f $archive ]]; then JAVA_COMMAND+=("-XX:SharedArchiveFile=$archive" -Xshare:auto); fi
  JAVA_COMMAND+=("$@")
}

# class_path LIBS: the jars in one fixed order, as the archive wants.
class_path() {
  local jars=("$1"/*.jar)
  local IFS=:
  printf '%s' "${jars[*]}"
}

# === Fetching ===

# fetch_by_maven ARGUMENTS...: Maven without a terminal (it sends colours all the same); a network's hiccup is tried again.
fetch_by_maven() {
  local round
  for round in 1 2 3; do
    if mvn -q -B "$@" 2>&1 | sed -u 's/\x1b\[[0-9;]*m//g; /^$/d' >&2; then return; fi
    note "download failed (attempt $round of 3)"
  done
  fail "cannot download from Maven Central: see above"
}

# make_archive SERVICE ARCHIVE: runs SERVICE once so that the JVM writes the archive of its classes when it ends. Without
# it everything works and starts more slowly, so a failure is only a note.
make_archive() {
  local service=$1 archive=$2
  dir=$(mktemp -d)
  trap 'stop_process "$dir" KILL; rm -rf "$dir"' EXIT
  trap 'exit 130' INT TERM
  if ORDERMILL_JAVA_OPTIONS="-XX:ArchiveClassesAtExit=$archive.partial" "$SCRIPTS/$service-up" "$dir" >/dev/null; then
    stop_process "$dir" TERM 120
  fi
  if [[ -f $archive.partial ]]; then
    mv "$archive.partial" "$archive"
  else
    note "no archive of $service's classes was written; it will start more slowly"
  fi
}

# postgres_programs: the directory of PostgreSQL's server programs: PGBIN, Debian's newest, or the path's.
postgres_programs() {
  local bin
  while IFS= read -r bin; do
    if [[ -n $bin && -x $bin/initdb && -x $bin/postgres ]]; then
      printf '%s' "$bin"
      return
    fi
  done < <(
    printf '%s\n' "${PGBIN:-}"
    printf '%s\n' /usr/lib/postgresql/*/bin | sort -rV
    dirname "$(command -v initdb || true)"
  )
  return 1
}

# run_command COMMAND...: in a process group of its own, and ends this script as it ended. A background command of a script
# would ignore Ctrl-C, one in the foreground would keep the script from hearing a signal. Whoever calls this ends its
# `finish` with stop_command.
command=
run_command() {
  local status=0
  set -m
  "$@" </dev/null &
  command=$!
  set +m
  wait "$command" || status=$?
  exit "$status"
}

# group_gone: whether no process of the command's group is left but zombies
group_gone() {
  local pid
  for pid in $(pgrep -g "$command" || true); do
    [[ $(state_of "$pid") == [ZX] ]] || return 1
  done
}

# What a command leaves behind in its process group (members that a test started and did not live to stop) ends with it.
stop_command() {
  [[ -n $command ]] && ! group_gone || return 0
  kill -TERM -- "-$command" 2>/dev/null || true
  kill -CONT -- "-$command" 2>/dev/null || true
  wait_for 5 group_gone && return
  kill -KILL -- "-$command" 2>/dev/null || true
  wait_for 5 group_gone || note "processes of group $command do not end"
}
