# Paths, ports, messages and the life of one process: what every server file builds on.
# Sourced by `servers` and `test`; needs LOCAL (this folder's parent) set.
# shellcheck shell=bash

CORE_SERVERS=(kafka etcd mongodb cassandra elasticsearch)
ALL_SERVERS=("${CORE_SERVERS[@]}" connect registry)

# Elasticsearch refuses to run as root and runs as `nobody` then, who cannot look into /root:
# so root keeps its files under /var, everybody else under the home directory.
if [ "$(id -u)" = 0 ]; then
  MILLRACE_CACHE=${MILLRACE_CACHE:-/var/cache/millrace}
  SERVERS_HOME=${SERVERS_HOME:-/var/lib/millrace/servers}
else
  MILLRACE_CACHE=${MILLRACE_CACHE:-$HOME/.cache/millrace}
  SERVERS_HOME=${SERVERS_HOME:-$HOME/.millrace/servers}
fi
HOST=127.0.0.1

say() { printf '%-14s %s\n' "${SERVER:-servers}" "$*"; }
complain() { printf '%-14s %s\n' "${SERVER:-servers}" "$*" >&2; }
die() { complain "$@"; exit 1; }

# seconds since a `date +%s.%N` stamp, one decimal
since() { awk -v a="$1" -v b="$(date +%s.%N)" 'BEGIN { printf "%.1f", b - a }'; }

# --- ports -------------------------------------------------------------------------------------

# The offset of a SERVERS_HOME is fixed by its first start, because stored data (a replica set's
# member address) holds the port. Later calls need not repeat it.
load_offset() {
  local stored=
  [ -f "$SERVERS_HOME/port-offset" ] && stored=$(cat "$SERVERS_HOME/port-offset")
  if [ -n "$stored" ] && [ -n "${PORT_OFFSET:-}" ] && [ "$stored" != "$PORT_OFFSET" ]; then
    die "$SERVERS_HOME was made with PORT_OFFSET=$stored, not $PORT_OFFSET: use that, or run 'clean' first, or another SERVERS_HOME"
  fi
  PORT_OFFSET=${PORT_OFFSET:-${stored:-0}}
  [[ $PORT_OFFSET =~ ^[0-9]+$ ]] && [ "$PORT_OFFSET" -le 30000 ] || die "PORT_OFFSET must be a number from 0 to 30000, not '$PORT_OFFSET'"
}
store_offset() { mkdir -p "$SERVERS_HOME" && echo "$PORT_OFFSET" > "$SERVERS_HOME/port-offset"; }

port() { # port NAME: the base port of NAME plus the offset
  local base
  case $1 in
    kafka) base=9092 ;; kafka-controller) base=9093 ;;
    etcd) base=2379 ;; etcd-peer) base=2380 ;;
    mongodb) base=27017 ;;
    cassandra) base=9042 ;; cassandra-storage) base=7000 ;;
    elasticsearch) base=9200 ;; elasticsearch-transport) base=9300 ;;
    connect) base=8183 ;;
    registry) base=8181 ;;
    *) die "no port is known for '$1'" ;;
  esac
  echo $((base + PORT_OFFSET))
}
listening() { (exec 3<> "/dev/tcp/$HOST/$1") 2> /dev/null; }
want_free_ports() { # before a start, so that another program's server is never taken for ours
  local p
  for p in "$@"; do
    ! listening "$p" || die "port $p is in use by another program: stop that, or choose a PORT_OFFSET"
  done
}

# --- one process -------------------------------------------------------------------------------
# $SERVERS_HOME/NAME/pid holds "PID START", START being the kernel's start time of the process, so
# that a pid used anew by a stranger (after a reboot, say) is never signalled.

home() { echo "$SERVERS_HOME/${1:-$SERVER}"; }
start_time() { sed 's/.*) //' "/proc/$1/stat" 2> /dev/null | cut -d' ' -f20; }
record_pid() { echo "$1 $(start_time "$1")" > "$(home)/pid"; }
pid_of() { # prints the pid of a running server, fails when it is not running
  local pid start
  read -r pid start 2> /dev/null < "$(home "$1")/pid" || return 1
  [ -n "$start" ] && [ "$(start_time "$pid")" = "$start" ] || return 1
  [ "$(sed 's/.*) //' "/proc/$pid/stat" 2> /dev/null | cut -c1)" != Z ] || return 1
  echo "$pid"
}
rss_mib() { awk '/VmRSS/ { printf "%d", $2 / 1024 }' "/proc/$1/status" 2> /dev/null; }
state_letter() { sed 's/.*) //' "/proc/$1/stat" 2> /dev/null | cut -c1; }

# launch LOG COMMAND...: a daemon in a session of its own (Ctrl-C in the terminal does not reach it),
# without the locks this script holds
launch() {
  local log=$1
  shift
  [ ! -f "$log" ] || mv -f "$log" "$log.previous"
  setsid nohup "$@" > "$log" 2>&1 < /dev/null 7>&- 8>&- 9>&- &
  record_pid $!
}

# await SECONDS LOG CHECK...: until CHECK succeeds; fails early when the process ends
await() {
  local limit=$1 log=$2 begun=$SECONDS told=$SECONDS
  shift 2
  until "$@"; do
    if ! pid_of "$SERVER" > /dev/null; then
      complain "ended while starting; the last lines of $log:"
      tail -n 20 "$log" >&2
      rm -f "$(home)/pid"
      return 1
    fi
    if [ $((SECONDS - begun)) -ge "$limit" ]; then
      complain "does not answer after $limit s; the last lines of $log:"
      tail -n 20 "$log" >&2
      return 1
    fi
    if [ $((SECONDS - told)) -ge 10 ]; then
      say "starting, $((SECONDS - begun)) s ..."
      told=$SECONDS
    fi
    sleep 0.1
  done
}

stop_process() { # SIGTERM, and after 30 s SIGKILL; a frozen process is thawed first
  local pid begun
  pid=$(pid_of "$SERVER") || { rm -f "$(home)/pid"; say "not running"; return 0; }
  begun=$(date +%s.%N)
  kill -TERM "$pid" 2> /dev/null
  kill -CONT "$pid" 2> /dev/null
  for _ in $(seq 300); do
    pid_of "$SERVER" > /dev/null || break
    sleep 0.1
  done
  if pid_of "$SERVER" > /dev/null; then
    complain "did not stop within 30 s, killing it"
    kill -KILL "$pid" 2> /dev/null
    for _ in $(seq 50); do pid_of "$SERVER" > /dev/null || break; sleep 0.1; done
  fi
  rm -f "$(home)/pid"
  say "stopped after $(since "$begun") s, data kept"
}

# --- small protocol probes ---------------------------------------------------------------------

# exchange PORT REQUEST COUNT: sends printf-escaped bytes, prints COUNT bytes of the answer in hex
exchange() {
  (
    exec 3<> "/dev/tcp/$HOST/$1" || exit 1
    printf '%b' "$2" >&3
    timeout 2 head -c "$3" <&3 | od -An -tx1 | tr -d ' \n'
  ) 2> /dev/null
}
http_ok() { curl -s -f -m 3 -o /dev/null "$1"; }
