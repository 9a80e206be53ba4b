# etcd: Debian's package. It is unpacked, not installed, so that no system service is set up.
# shellcheck shell=bash

etcd_binary() {
  if command -v etcd > /dev/null; then command -v etcd
  elif [ -x "$MILLRACE_CACHE/etcd/usr/bin/etcd" ]; then echo "$MILLRACE_CACHE/etcd/usr/bin/etcd"; fi
}
can_unpack_etcd() { [ -f /etc/debian_version ] && command -v apt-get > /dev/null && command -v dpkg-deb > /dev/null; }

etcd_install() {
  [ -z "$(etcd_binary)" ] || return 0
  say "downloading (Debian package, verified by apt)"
  with_lock apt etcd_unpack
}
etcd_unpack() {
  local folder=$MILLRACE_CACHE/etcd-packages
  [ -z "$(etcd_binary)" ] || return 0
  mkdir -p "$folder"
  (
    cd "$folder" || exit 1
    apt-get download -q etcd-server etcd-client || { apt-get update -q && apt-get download -q etcd-server etcd-client; }
  ) > "$MILLRACE_CACHE/etcd.log" 2>&1 || { complain "apt-get failed; see $MILLRACE_CACHE/etcd.log"; return 1; }
  rm -rf "$MILLRACE_CACHE/etcd.new"
  mkdir -p "$MILLRACE_CACHE/etcd.new"
  local package
  for package in "$folder"/*.deb; do dpkg-deb -x "$package" "$MILLRACE_CACHE/etcd.new" || return 1; done
  mv "$MILLRACE_CACHE/etcd.new" "$MILLRACE_CACHE/etcd"
}

etcd_ports() { port etcd; port etcd-peer; }
etcd_start() {
  local client peer
  client=http://$HOST:$(port etcd) peer=http://$HOST:$(port etcd-peer)
  launch "$(home)/etcd.log" "$(etcd_binary)" --name local --data-dir "$(home)/data" \
    --listen-client-urls "$client" --advertise-client-urls "$client" \
    --listen-peer-urls "$peer" --initial-advertise-peer-urls "$peer" --initial-cluster "local=$peer" \
    --auto-compaction-mode revision --auto-compaction-retention 10000 --logger zap --log-outputs stderr
  await 60 "$(home)/etcd.log" etcd_answers
}
etcd_answers() { curl -s -m 2 "http://$HOST:$(port etcd)/health" | grep -q '"health":"true"'; }
etcd_env() {
  echo "export ETCD_ENDPOINTS=http://$HOST:$(port etcd)"
  # where etcd was unpacked rather than installed, etcd and etcdctl are found all the same
  command -v etcd > /dev/null || echo "export PATH=\"\$PATH:$MILLRACE_CACHE/etcd/usr/bin\""
}
