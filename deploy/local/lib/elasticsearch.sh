# Elasticsearch 9.5.3: the server distribution from Maven Central, http without security. That zip lacks the
# module that answers `GET /`; the plugin under java/elasticsearch-plugin stands in for it.
# shellcheck shell=bash

ELASTICSEARCH_VERSION=9.5.3
# the folder's name tells the plugin's version, so that a changed plugin leaves a running server's files alone
ELASTICSEARCH_FOLDER=$MILLRACE_CACHE/elasticsearch-$ELASTICSEARCH_VERSION-$(cat "$LOCAL"/java/elasticsearch-plugin/* | sha256sum | cut -c1-8)
ELASTICSEARCH_ZIP=$MILLRACE_CACHE/elasticsearch-$ELASTICSEARCH_VERSION-zip

elasticsearch_install() {
  [ -f "$ELASTICSEARCH_FOLDER/.complete" ] && return 0
  maven_jars elasticsearch "$ELASTICSEARCH_ZIP" && with_lock elasticsearch elasticsearch_unpack
}
elasticsearch_unpack() {
  [ ! -f "$ELASTICSEARCH_FOLDER/.complete" ] || return 0
  local staging=$ELASTICSEARCH_FOLDER.new
  rm -rf "$staging"
  mkdir -p "$staging"
  unzip -q "$ELASTICSEARCH_ZIP/elasticsearch-$ELASTICSEARCH_VERSION.zip" -d "$staging" || return 1
  local unpacked=$staging/elasticsearch-$ELASTICSEARCH_VERSION jdk
  local plugin=$unpacked/plugins/millrace-root classes=$staging/classes
  jdk=$(java_home 21)
  rm -rf "$unpacked"/lib/platform/{darwin,windows}* "$unpacked/lib/platform/linux-aarch64"
  mkdir -p "$plugin" "$classes"
  "$jdk/bin/javac" -nowarn --release 21 -cp "$unpacked/lib/*" -d "$classes" "$LOCAL"/java/elasticsearch-plugin/*.java \
    > "$MILLRACE_CACHE/javac.log" 2>&1 || { complain "the plugin does not compile:"; cat "$MILLRACE_CACHE/javac.log" >&2; return 1; }
  "$jdk/bin/jar" --create --file "$plugin/millrace-root.jar" -C "$classes" . || return 1
  cp "$LOCAL/java/elasticsearch-plugin/plugin-descriptor.properties" "$plugin/"
  chmod -R a+rX "$unpacked"
  : > "$unpacked/.complete"
  rm -rf "$ELASTICSEARCH_FOLDER"
  mv "$unpacked" "$ELASTICSEARCH_FOLDER"
  rm -rf "$staging"
}

elasticsearch_ports() { port elasticsearch; port elasticsearch-transport; }
elasticsearch_yaml() {
  cat << YAML
cluster.name: local
node.name: local-1
path.data: $(home)/data
path.logs: $(home)/logs
network.host: $HOST
http.port: $(port elasticsearch)
transport.port: $(port elasticsearch-transport)
discovery.type: single-node
cluster.routing.allocation.disk.threshold_enabled: false
action.auto_create_index: true
xpack.security.enabled: false
YAML
}

# Elasticsearch refuses to be root: then it runs as nobody
unprivileged() {
  if [ "$(id -u)" = 0 ]; then setpriv --reuid=nobody --regid=nogroup --clear-groups "$@"; else "$@"; fi
}

elasticsearch_start() {
  local folder log pid_file
  folder=$(home) log=$(home)/logs/start.log pid_file=$(home)/run/pid
  rm -rf "$folder/config" "$folder/run"
  mkdir -p "$folder"/{data,logs,tmp,run}
  cp -r "$ELASTICSEARCH_FOLDER/config" "$folder/config"
  elasticsearch_yaml > "$folder/config/elasticsearch.yml"
  if [ "$(id -u)" = 0 ]; then
    chown -R nobody:nogroup "$folder"/{data,logs,tmp,run,config}
    unprivileged test -r "$ELASTICSEARCH_FOLDER/bin/elasticsearch" && unprivileged test -w "$folder/data" || {
      complain "runs as 'nobody' because it refuses to be root, and 'nobody' cannot reach $ELASTICSEARCH_FOLDER or $folder:"
      complain "choose a MILLRACE_CACHE and a SERVERS_HOME outside closed folders such as /root"
      return 1
    }
  fi
  (
    cd "$folder/run" || exit 1
    ulimit -n 65536 2> /dev/null || true
    unset JAVA_HOME
    export ES_JAVA_HOME ES_PATH_CONF=$folder/config ES_TMPDIR=$folder/tmp
    ES_JAVA_HOME=$(java_home 21)
    export ES_JAVA_OPTS="-Xms640m -Xmx640m -XX:ErrorFile=$folder/logs/hs_err_%p.log"
    export CLI_JAVA_OPTS="-Xmx64m -XX:TieredStopAtLevel=1 -XX:+UseSerialGC"
    # -d returns once the node has started; the pid file holds the server itself, not its launcher
    unprivileged setsid --wait bash "$ELASTICSEARCH_FOLDER/bin/elasticsearch" -d -p "$pid_file" 7>&- 8>&- 9>&-
  ) > "$log" 2>&1 < /dev/null &
  local launcher=$! begun=$SECONDS told=$SECONDS
  until [ -s "$pid_file" ]; do
    if ! kill -0 $launcher 2> /dev/null && [ ! -s "$pid_file" ]; then
      complain "ended while starting; the last lines of $log:"
      tail -n 20 "$log" >&2
      return 1
    fi
    [ $((SECONDS - begun)) -lt 120 ] || { complain "no process after 120 s; see $log"; kill $launcher; return 1; }
    if [ $((SECONDS - told)) -ge 10 ]; then say "starting, $((SECONDS - begun)) s ..."; told=$SECONDS; fi
    sleep 0.1
  done
  record_pid "$(cat "$pid_file")"
  await 180 "$log" elasticsearch_answers
}
elasticsearch_answers() { http_ok "http://$HOST:$(port elasticsearch)/_cluster/health?wait_for_status=yellow&timeout=1s"; }
elasticsearch_env() { echo "export ELASTICSEARCH_URL=http://$HOST:$(port elasticsearch)"; }
