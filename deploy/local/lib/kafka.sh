# Apache Kafka 4.3.1 (KRaft): broker and controller in one process.
# shellcheck shell=bash

KAFKA_FOLDER=$MILLRACE_CACHE/kafka-4.3.1

kafka_install() { maven_jars kafka "$KAFKA_FOLDER"; }
kafka_ports() { port kafka; port kafka-controller; }

# Records of the tests bear timestamps of years ago: the usual seven days of retention would delete them, every five
# minutes, before they are read.
kafka_properties() {
  cat << PROPERTIES
process.roles=broker,controller
node.id=1
controller.quorum.voters=1@$HOST:$(port kafka-controller)
listeners=PLAINTEXT://$HOST:$(port kafka),CONTROLLER://$HOST:$(port kafka-controller)
advertised.listeners=PLAINTEXT://$HOST:$(port kafka)
controller.listener.names=CONTROLLER
inter.broker.listener.name=PLAINTEXT
listener.security.protocol.map=CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT
log.dirs=$(home)/data
num.partitions=1
num.network.threads=2
num.io.threads=4
offsets.topic.replication.factor=1
offsets.topic.num.partitions=8
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
transaction.state.log.num.partitions=4
share.coordinator.state.topic.replication.factor=1
share.coordinator.state.topic.min.isr=1
group.initial.rebalance.delay.ms=0
auto.create.topics.enable=true
log.segment.bytes=268435456
log.retention.ms=-1
PROPERTIES
}

kafka_start() {
  local java log=$(home)/kafka.log class_path="$LOCAL/java:$KAFKA_FOLDER/*"
  java=$(java_home 17)/bin/java
  mkdir -p "$(home)/data"
  kafka_properties > "$(home)/server.properties"
  if [ ! -f "$(home)/data/meta.properties" ]; then
    "$java" -Xmx128m -XX:+UseSerialGC -XX:TieredStopAtLevel=1 -cp "$class_path" kafka.tools.StorageTool format \
      -t "$(uuid_base64)" -c "$(home)/server.properties" > "$(home)/format.log" 2>&1 \
      || { complain "formatting the storage failed:"; tail -n 20 "$(home)/format.log" >&2; return 1; }
  fi
  launch "$log" "$java" -Xms256m -Xmx512m -XX:+UseG1GC -XX:MaxGCPauseMillis=20 -Djava.awt.headless=true \
    -cp "$class_path" kafka.Kafka "$(home)/server.properties"
  await 120 "$log" kafka_started
}
uuid_base64() { head -c 16 /dev/urandom | base64 | tr '+/' '-_' | tr -d '=' | sed 's/^-/A/'; }
kafka_started() { grep -q 'Kafka Server started' "$(home)/kafka.log" && kafka_answers; }
# an ApiVersions request, version 0, correlation 1: the answer repeats the correlation
kafka_answers() {
  [[ $(exchange "$(port kafka)" '\x00\x00\x00\x0a\x00\x12\x00\x00\x00\x00\x00\x01\xff\xff' 8) == ????????00000001 ]]
}
kafka_env() { echo "export KAFKA_BOOTSTRAP=$HOST:$(port kafka)"; }
