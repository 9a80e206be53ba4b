# What must be on the machine before anything is downloaded. Debian as root: installed from apt.
# Elsewhere: everything that is missing is named in one message.
# shellcheck shell=bash

# needed NAME...: lines "what-is-missing|debian-package" for the given servers ("build" = compiling Millrace)
needed() {
  local name
  command -v flock > /dev/null || echo "flock|util-linux"
  command -v curl > /dev/null || echo "curl|curl"
  for name in "$@"; do
    case $name in
      kafka | connect | cassandra | registry) need_maven; need_java17 ;;
      elasticsearch)
        need_maven; need_java17
        command -v unzip > /dev/null || echo "unzip|unzip"
        command -v setpriv > /dev/null || echo "setpriv|util-linux"
        [ -n "$(java_home 21)" ] || echo "a JDK of version 21 or newer under /usr/lib/jvm (or JAVA21_HOME)|"
        ;;
      mongodb)
        command -v python3 > /dev/null || echo "python3|python3"
        python3 -m pip --version > /dev/null 2>&1 || echo "pip for python3|python3-pip"
        python3 -c 'import ensurepip, venv' > /dev/null 2>&1 || echo "venv for python3|python3-venv"
        ldconfig -p | grep 'libcurl\.so\.4' > /dev/null || echo "libcurl4|libcurl4"
        ldconfig -p | grep 'libssl\.so\.3' > /dev/null || echo "libssl3|libssl3"
        ;;
      etcd) [ -n "$(etcd_binary)" ] || can_unpack_etcd || echo "etcd 3.4 or newer on the PATH|" ;;
      build) need_build ;;
    esac
  done
}
need_maven() { command -v mvn > /dev/null || echo "mvn (Maven 3.8 or newer)|maven"; }
need_java17() { [ -n "$(java_home 17)" ] || echo "a JDK of version 17 under /usr/lib/jvm (or JAVA17_HOME)|openjdk-17-jdk-headless"; }
need_build() {
  command -v cargo > /dev/null || echo "cargo (rustup installs the toolchain that rust-toolchain.toml names)|"
  # the demo's verification uses the stores' Python clients
  python3 -c 'import ensurepip, venv' 2> /dev/null || echo "python3 with its venv module|python3-venv"
  local pair
  for pair in gcc:gcc g++:g++ make:make perl:perl pkg-config:pkg-config protoc:protobuf-compiler; do
    command -v "${pair%:*}" > /dev/null || echo "${pair%:*}|${pair#*:}"
  done
  # Debian keeps them in a package apart from protoc
  protoc_knows_timestamps || echo "the definitions that come with protoc (google/protobuf/timestamp.proto)|libprotobuf-dev"
  if command -v pkg-config > /dev/null; then
    pkg-config --exists openssl || echo "OpenSSL headers|libssl-dev"
    pkg-config --exists zlib || echo "zlib headers|zlib1g-dev"
  else
    echo "OpenSSL headers|libssl-dev"
    echo "zlib headers|zlib1g-dev"
  fi
}

protoc_knows_timestamps() {
  protoc -I /dev --descriptor_set_out=/dev/null /dev/stdin <<< 'syntax = "proto3"; import "google/protobuf/timestamp.proto";' 2> /dev/null
}

on_debian_as_root() { [ "$(id -u)" = 0 ] && [ -f /etc/debian_version ] && command -v apt-get > /dev/null; }

# require NAME...: installs or names what is missing; the caller ends when it fails
require() {
  local missing packages
  missing=$(needed "$@" | sort -u)
  [ -n "$missing" ] || return 0
  if on_debian_as_root; then
    packages=$(cut -d'|' -f2 <<< "$missing" | sed '/^$/d' | sort -u | tr '\n' ' ')
    if [ -n "$packages" ]; then
      say "installing Debian packages: $packages"
      with_lock apt apt_install "$packages" || return 1
      missing=$(needed "$@" | sort -u)
    fi
  fi
  [ -n "$missing" ] || return 0
  complain "missing on this machine:"
  cut -d'|' -f1 <<< "$missing" | sed 's/^/  - /' >&2
  return 1
}
apt_install() {
  local log=$MILLRACE_CACHE/apt.log
  # shellcheck disable=SC2086  # a list of package names
  { apt-get update -q && DEBIAN_FRONTEND=noninteractive apt-get install -q -y --no-install-recommends $1; } > "$log" 2>&1 \
    || { complain "apt-get failed; the last lines of $log:"; tail -n 10 "$log" >&2; return 1; }
}
