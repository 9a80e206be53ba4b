# Apache Cassandra 5.0.9: one node, no authentication, data centre "datacenter1".
# shellcheck shell=bash

CASSANDRA_FOLDER=$MILLRACE_CACHE/cassandra-5.0.9

# native libraries of other platforms are left out
cassandra_install() {
  maven_jars cassandra "$CASSANDRA_FOLDER" '*-osx-*' '*-windows-*' '*-linux-aarch_64.jar' '*-linux-riscv64.jar'
}
cassandra_ports() { port cassandra; port cassandra-storage; }

cassandra_yaml() {
  cat << YAML
cluster_name: local
num_tokens: 16
partitioner: org.apache.cassandra.dht.Murmur3Partitioner
endpoint_snitch: SimpleSnitch
seed_provider:
  - class_name: org.apache.cassandra.locator.SimpleSeedProvider
    parameters:
      - seeds: "$HOST:$(port cassandra-storage)"
listen_address: $HOST
rpc_address: $HOST
storage_port: $(port cassandra-storage)
start_native_transport: true
native_transport_port: $(port cassandra)
data_file_directories:
  - $(home)/data
commitlog_directory: $(home)/commitlog
saved_caches_directory: $(home)/saved_caches
hints_directory: $(home)/hints
cdc_raw_directory: $(home)/cdc_raw
commitlog_sync: periodic
commitlog_sync_period: 10000ms
commitlog_segment_size: 32MiB
commitlog_total_space: 512MiB
memtable_heap_space: 128MiB
memtable_offheap_space: 128MiB
memtable_allocation_type: offheap_objects
file_cache_size: 64MiB
networking_cache_size: 64MiB
key_cache_size: 16MiB
concurrent_reads: 16
concurrent_writes: 32
concurrent_compactors: 1
compaction_throughput: 64MiB/s
disk_optimization_strategy: ssd
auto_snapshot: false
auto_bootstrap: true
incremental_backups: false
snapshot_before_compaction: false
authenticator: AllowAllAuthenticator
authorizer: AllowAllAuthorizer
role_manager: CassandraRoleManager
dynamic_snitch: false
YAML
}

cassandra_start() {
  local log=$(home)/cassandra.log jamm
  jamm=$(echo "$CASSANDRA_FOLDER"/jamm-*.jar)
  mkdir -p "$(home)/tmp"
  cassandra_yaml > "$(home)/cassandra.yaml"
  launch "$log" "$(java_home 17)/bin/java" "@$LOCAL/java/cassandra-jvm.options" -Xms640m -Xmx640m \
    -XX:MaxDirectMemorySize=512m "-javaagent:$jamm" "-Djava.io.tmpdir=$(home)/tmp" "-XX:ErrorFile=$(home)/hs_err_%p.log" \
    "-Dcassandra.config=file://$(home)/cassandra.yaml" "-Dlogback.configurationFile=$LOCAL/java/logback.xml" \
    "-Dcassandra.storagedir=$(home)" "-Dcassandra.logdir=$(home)" -Dcassandra-foreground=yes \
    -Dcassandra.skip_wait_for_gossip_to_settle=0 -Dcassandra.superuser_setup_delay_ms=0 \
    -cp "$CASSANDRA_FOLDER/*" org.apache.cassandra.service.CassandraDaemon
  await 180 "$log" cassandra_started
}
cassandra_started() { grep -q 'Starting listening for CQL clients' "$(home)/cassandra.log" && cassandra_answers; }
# an OPTIONS frame of protocol version 4; the answer is SUPPORTED (opcode 6)
cassandra_answers() { [[ $(exchange "$(port cassandra)" '\x04\x00\x00\x00\x05\x00\x00\x00\x00' 5) == 84??????06 ]]; }
cassandra_env() {
  echo "export CASSANDRA_CONTACT_POINTS=$HOST:$(port cassandra)"
  echo "export CASSANDRA_DATACENTER=datacenter1"
}
