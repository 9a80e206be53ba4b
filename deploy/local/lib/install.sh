# Fetching and verifying what the servers are made of. Everything lands in MILLRACE_CACHE (and Maven's
# own ~/.m2), is checked against checksums/, and is then only read; two copies of the script may install at once.
# shellcheck shell=bash

DEPENDENCY_PLUGIN=org.apache.maven.plugins:maven-dependency-plugin:3.8.1

# with_lock NAME COMMAND...: one installer at a time for NAME on this machine; COMMAND checks again
# whether there is still something to do
with_lock() {
  local name=$1
  shift
  mkdir -p "$MILLRACE_CACHE/locks"
  (
    exec 8> "$MILLRACE_CACHE/locks/$name"
    flock 8
    "$@"
  )
}

# verify_directory DIRECTORY LIST: exactly the files of LIST (sha256sum format), each with its checksum
verify_directory() {
  local found expected
  found=$(cd "$1" && ls)
  expected=$(awk '{ print $2 }' "$2" | sort)
  if [ "$(sort <<< "$found")" != "$expected" ]; then
    complain "the downloaded set of files differs from $2:"
    diff <(echo "$expected") <(sort <<< "$found") >&2
    return 1
  fi
  (cd "$1" && sha256sum --quiet --strict -c "$2") || { complain "checksum mismatch against $2"; return 1; }
}

# patiently LOG COMMAND...: says every 10 s that COMMAND, whose output goes to LOG, is still at work
patiently() {
  local log=$1 begun=$SECONDS told=$SECONDS worker
  shift
  "$@" > "$log" 2>&1 &
  worker=$!
  while [ -e "/proc/$worker" ] && [ "$(state_letter $worker)" != Z ]; do
    if [ $((SECONDS - told)) -ge 10 ]; then
      say "still downloading, $((SECONDS - begun)) s ..."
      told=$SECONDS
    fi
    sleep 0.1
  done
  wait $worker
}

# maven_jars NAME TARGET [DROP-GLOB...]: resolves java/NAME.xml into TARGET, less the files to drop.
# One Maven at a time: its local repository is not made for several.
maven_jars() { [ -f "$2/.complete" ] || with_lock maven maven_fetch "$@"; }
maven_fetch() {
  local name=$1 target=$2 staging=$2.new log=$MILLRACE_CACHE/maven-$1.log begun glob
  shift 2
  [ ! -f "$target/.complete" ] || return 0
  begun=$(date +%s.%N)
  say "downloading ($name)"
  rm -rf "$staging" "$target"
  mkdir -p "$staging"
  JAVA_HOME=$(java_home 17) patiently "$log" mvn -B -q -ntp -f "$LOCAL/java/$name.xml" "$DEPENDENCY_PLUGIN:copy-dependencies" \
    -DincludeScope=runtime "-DoutputDirectory=$staging" \
    || { complain "Maven failed; see $log:"; grep -m 5 ERROR "$log" >&2; return 1; }
  # shellcheck disable=SC2086  # globs
  for glob in "$@"; do (cd "$staging" && rm -f $glob); done
  verify_directory "$staging" "$LOCAL/checksums/$name.sha256" || return 1
  : > "$staging/.complete"
  mv "$staging" "$target"
  say "downloaded and verified ($name), $(since "$begun") s"
}

# java_home VERSION: the newest JDK of at least 21, or exactly 17, under the usual folder
java_home() {
  local wanted=$1 candidate version best= best_version=0
  local given=JAVA${wanted}_HOME
  if [ -n "${!given:-}" ]; then echo "${!given}"; return 0; fi
  for candidate in /usr/lib/jvm/* "${JAVA_HOME:-/nonexistent}"; do
    [ -x "$candidate/bin/javac" ] && [ -r "$candidate/release" ] || continue
    version=$(sed -n 's/^JAVA_VERSION="\([0-9]*\).*/\1/p' "$candidate/release")
    [ -n "$version" ] || continue
    if [ "$wanted" = 17 ]; then
      [ "$version" = 17 ] && { echo "$candidate"; return 0; }
    elif [ "$version" -ge "$wanted" ] && [ "$version" -gt "$best_version" ]; then
      best=$candidate best_version=$version
    fi
  done
  [ -n "$best" ] && echo "$best"
}
