"""Creates the Cassandra keyspace and table of the demo, if they are not there. MongoDB and Elasticsearch need nothing."""

import logging
import os

from cassandra.cluster import Cluster, ExecutionProfile, EXEC_PROFILE_DEFAULT
from cassandra.policies import WhiteListRoundRobinPolicy

DATABASE = os.environ.get("INVENTORY_DATABASE", "inventory")


def main():
    logging.getLogger("cassandra").setLevel(logging.ERROR)
    host, _, port = os.environ.get("CASSANDRA_CONTACT_POINTS", "127.0.0.1:9042").split(",")[0].partition(":")
    profile = ExecutionProfile(WhiteListRoundRobinPolicy([host]), request_timeout=60)
    cluster = Cluster([host], port=int(port or 9042), execution_profiles={EXEC_PROFILE_DEFAULT: profile}, protocol_version=5)
    session = cluster.connect()
    session.execute(
        f"CREATE KEYSPACE IF NOT EXISTS {DATABASE} "
        "WITH replication = {'class': 'SimpleStrategy', 'replication_factor': 1}"
    )
    session.execute(
        f"CREATE TABLE IF NOT EXISTS {DATABASE}.stock (sku text, warehouse text, name text, quantity int, reserved int, "
        "price double, updated_at bigint, PRIMARY KEY (sku, warehouse))"
    )
    cluster.shutdown()


if __name__ == "__main__":
    main()
