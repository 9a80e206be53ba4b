# Apicurio Registry 2.6.13 behind the REST interface of Confluent's schema registry; schemas are kept in memory.
# shellcheck shell=bash

REGISTRY_FOLDER=$MILLRACE_CACHE/registry-2.6.13

registry_install() {
  [ -f "$REGISTRY_FOLDER/.complete" ] && return 0
  maven_jars registry "$REGISTRY_FOLDER-archive" && with_lock registry registry_unpack
}
registry_unpack() {
  [ ! -f "$REGISTRY_FOLDER/.complete" ] || return 0
  rm -rf "$REGISTRY_FOLDER"
  mkdir -p "$REGISTRY_FOLDER"
  tar -xzf "$REGISTRY_FOLDER-archive"/*.tar.gz -C "$REGISTRY_FOLDER" || return 1
  : > "$REGISTRY_FOLDER/.complete"
}
registry_ports() { port registry; }

registry_start() {
  local log=$(home)/registry.log
  launch "$log" "$(java_home 17)/bin/java" -Xms64m -Xmx256m -XX:+UseSerialGC -XX:TieredStopAtLevel=1 -Djava.awt.headless=true \
    -Dquarkus.http.host=$HOST "-Dquarkus.http.port=$(port registry)" \
    -jar "$REGISTRY_FOLDER"/apicurio-registry-app-*-runner.jar
  await 180 "$log" registry_answers
}
registry_answers() { http_ok "$(registry_url)/subjects"; }
registry_url() { echo "http://$HOST:$(port registry)/apis/ccompat/v7"; }
registry_env() { echo "export SCHEMA_REGISTRY_URL=$(registry_url)"; }
