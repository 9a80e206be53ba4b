"""Runs a CQL query: `python query.py "SELECT …"`. Debian has no cqlsh."""

import logging
import os
import sys

from cassandra.cluster import Cluster, ExecutionProfile, EXEC_PROFILE_DEFAULT
from cassandra.policies import WhiteListRoundRobinPolicy


def connect():
    """A session on the node that `CASSANDRA_CONTACT_POINTS` names, and its cluster."""
    logging.getLogger("cassandra").setLevel(logging.ERROR)
    host, _, port = os.environ.get("CASSANDRA_CONTACT_POINTS", "127.0.0.1:9042").split(",")[0].partition(":")
    profile = ExecutionProfile(WhiteListRoundRobinPolicy([host]), request_timeout=60)
    cluster = Cluster([host], port=int(port or 9042), execution_profiles={EXEC_PROFILE_DEFAULT: profile}, protocol_version=5)
    return cluster, cluster.connect()


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    cluster, session = connect()
    for row in session.execute(sys.argv[1]):
        print(dict(row._asdict()))
    cluster.shutdown()
