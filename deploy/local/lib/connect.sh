# Kafka Connect 4.3.1: one distributed worker with the file connectors, MongoDB's, Debezium's transforms, Apicurio's converters
# with a schema registry, and a sink that writes down what it is given. Only the tests that compare Millrace with the originals
# need it.
# shellcheck shell=bash

CONNECT_FOLDER=$MILLRACE_CACHE/connect-4.3.1
TEST_PLUGIN=$LOCAL/../../tests/connect-plugin
# the folder's name tells the plugin's version, so that a changed plugin leaves a running worker's files alone
TEST_PLUGIN_FOLDER=$MILLRACE_CACHE/connect-test-plugin-$(cat "$TEST_PLUGIN"/src/millrace/test/*.java | sha256sum | cut -c1-8)

connect_install() {
  maven_jars connect "$CONNECT_FOLDER/worker" && maven_jars connect-file "$CONNECT_FOLDER/plugins/file" \
    && maven_jars connect-mongodb "$CONNECT_FOLDER/plugins/mongodb" \
    && maven_jars connect-debezium "$CONNECT_FOLDER/plugins/debezium" \
    && maven_jars connect-apicurio "$CONNECT_FOLDER/plugins/apicurio" \
    && maven_jars connect-protobuf "$CONNECT_FOLDER/protobuf" \
    && manifest mongodb sink.SinkConnector com.mongodb.kafka.connect.MongoSinkConnector \
      source.SourceConnector com.mongodb.kafka.connect.MongoSourceConnector \
    && manifest apicurio storage.Converter io.apicurio.registry.utils.converter.AvroConverter \
    && { [ -f "$TEST_PLUGIN_FOLDER/.complete" ] || with_lock connect-test-plugin test_plugin_build; }
}
# manifest PLUGIN (INTERFACE CLASS)...: by which plugin.discovery=service_load finds what a plugin's authors left out
manifest() {
  local jar=$CONNECT_FOLDER/plugins/$1/manifest.jar
  [ -f "$jar" ] || python3 - "$jar" "${@:2}" << 'PYTHON'
import os
import sys
import zipfile

path, names = sys.argv[1], sys.argv[2:]
with zipfile.ZipFile(path + ".new", "w") as jar:
    for interface, name in zip(names[::2], names[1::2]):
        jar.writestr(f"META-INF/services/org.apache.kafka.connect.{interface}", f"{name}\n")
os.replace(path + ".new", path)
PYTHON
}
test_plugin_build() {
  [ ! -f "$TEST_PLUGIN_FOLDER/.complete" ] || return 0
  local staging=$TEST_PLUGIN_FOLDER.new log=$MILLRACE_CACHE/connect-test-plugin.log
  rm -rf "$staging" "$TEST_PLUGIN_FOLDER"
  MILLRACE_CACHE=$MILLRACE_CACHE "$TEST_PLUGIN/build" "$staging/plugins/test" > "$log" 2>&1 \
    || { complain "Kafka Connect's test plugin does not compile:"; cat "$log" >&2; return 1; }
  : > "$staging/.complete"
  mv "$staging" "$TEST_PLUGIN_FOLDER"
}
connect_ports() { port connect; }

connect_properties() {
  cat << PROPERTIES
bootstrap.servers=$HOST:$(port kafka)
group.id=connect-compared
listeners=http://$HOST:$(port connect)
rest.advertised.host.name=$HOST
rest.advertised.port=$(port connect)
plugin.path=$CONNECT_FOLDER/plugins,$TEST_PLUGIN_FOLDER/plugins
plugin.discovery=service_load
key.converter=org.apache.kafka.connect.storage.StringConverter
value.converter=org.apache.kafka.connect.json.JsonConverter
value.converter.schemas.enable=false
config.storage.topic=connect-compared-configs
config.storage.replication.factor=1
offset.storage.topic=connect-compared-offsets
offset.storage.replication.factor=1
offset.storage.partitions=5
status.storage.topic=connect-compared-status
status.storage.replication.factor=1
status.storage.partitions=3
offset.flush.interval.ms=1000
PROPERTIES
}

connect_start() {
  local log=$(home)/connect.log
  connect_properties > "$(home)/worker.properties"
  launch "$log" "$(java_home 17)/bin/java" -Xms128m -Xmx384m -XX:+UseG1GC -Djava.awt.headless=true \
    -cp "$LOCAL/java:$CONNECT_FOLDER/worker/*" org.apache.kafka.connect.cli.ConnectDistributed "$(home)/worker.properties"
  await 120 "$log" connect_answers
}
# answers 200 only after the worker has joined its group
connect_answers() { http_ok "http://$HOST:$(port connect)/connectors"; }
connect_env() { echo "export CONNECT_URL=http://$HOST:$(port connect)"; }
