"""Creates the Cassandra keyspace and table of the demo, if they are not there. MongoDB and Elasticsearch need nothing."""

import os

from query import connect

DATABASE = os.environ.get("INVENTORY_DATABASE", "inventory")


def main():
    cluster, session = connect()
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
