//! A MongoDB replica set of three for one scenario, whose members can be killed. The mongod is the one that
//! `deploy/local/servers` has installed.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use mongodb::bson::{Bson, Document, doc};
use tempfile::TempDir;

use crate::process::{Process, free_port, installed};
use crate::wait::eventually;

const LIMIT: Duration = Duration::from_secs(60);

/// The running members; killed when it goes out of scope.
pub struct ReplicaSet {
    // Declared in the order in which they end.
    members: Vec<Member>,
    directory: TempDir,
}

struct Member {
    process: Process,
    port: u16,
}

/// The mongod that `deploy/local/servers` has installed.
///
/// # Panics
/// When it is not installed.
#[must_use]
pub fn mongod() -> PathBuf {
    installed("mongodb-6.0.5/mongod", "mongodb")
}

fn start(directory: &Path, port: u16) -> Process {
    let data = directory.join(port.to_string());
    std::fs::create_dir_all(&data).expect("a data directory");
    let mut command = Command::new(mongod());
    command
        .args(["--bind_ip", "127.0.0.1", "--replSet", "rs0", "--nounixsocket", "--wiredTigerCacheSizeGB", "0.25"])
        .args(["--oplogSize", "128", "--setParameter", "diagnosticDataCollectionEnabled=false"])
        .args(["--setParameter", "enableTestCommands=1", "--port", &port.to_string(), "--dbpath"])
        .arg(&data);
    Process::start(&format!("mongod-{port}"), directory, &mut command)
}

async fn ask(port: u16, command: Document) -> Result<Document, String> {
    let uri = format!("mongodb://127.0.0.1:{port}/?directConnection=true&serverSelectionTimeoutMS=2000");
    let client = mongodb::Client::with_uri_str(&uri).await.map_err(|error| error.to_string())?;
    client.database("admin").run_command(command).await.map_err(|error| error.to_string())
}

impl ReplicaSet {
    /// Starts three members and waits until one is primary and the others follow it.
    ///
    /// # Panics
    /// When they do not get that far.
    pub async fn start() -> Self {
        let directory = tempfile::Builder::new().prefix("millrace-replica-set-").tempdir().expect("a directory");
        let ports = [free_port(), free_port(), free_port()];
        let members = ports.map(|port| Member { process: start(directory.path(), port), port }).into();
        let set = Self { members, directory };
        for port in ports {
            eventually("a member answers", LIMIT, || ask(port, doc! { "hello": 1 })).await;
        }
        let member = |(id, port): (i32, &u16)| Bson::Document(doc! { "_id": id, "host": format!("127.0.0.1:{port}") });
        let members: Vec<Bson> = (0..).zip(&ports).map(member).collect();
        let config = doc! { "_id": "rs0", "members": members, "settings": { "electionTimeoutMillis": 2000 } };
        ask(ports[0], doc! { "replSetInitiate": config }).await.expect("initiated");
        eventually("a primary and two secondaries", LIMIT, || async {
            let status = ask(ports[0], doc! { "replSetGetStatus": 1 }).await?;
            let states: Vec<&str> = status
                .get_array("members")
                .into_iter()
                .flatten()
                .filter_map(|member| member.as_document()?.get_str("stateStr").ok())
                .collect();
            let count = |state| states.iter().filter(|found| **found == state).count();
            if count("PRIMARY") == 1 && count("SECONDARY") == 2 { Ok(()) } else { Err(format!("{states:?}")) }
        })
        .await;
        set
    }

    /// The connection string of the whole set.
    #[must_use]
    pub fn uri(&self) -> String {
        let hosts: Vec<String> = self.members.iter().map(|member| format!("127.0.0.1:{}", member.port)).collect();
        format!("mongodb://{}/?replicaSet=rs0", hosts.join(","))
    }

    /// The position of the primary.
    pub async fn primary(&self) -> usize {
        eventually("a primary", LIMIT, || async {
            for (position, member) in self.members.iter().enumerate() {
                let hello = ask(member.port, doc! { "hello": 1 }).await;
                if hello.is_ok_and(|hello| hello.get_bool("isWritablePrimary").unwrap_or(false)) {
                    return Ok(position);
                }
            }
            Err("none".to_owned())
        })
        .await
    }

    /// `kill -9` of the primary; its position.
    pub async fn kill_primary(&mut self) -> usize {
        let primary = self.primary().await;
        self.members[primary].process.kill_9();
        primary
    }

    /// Starts a killed member again on its data.
    pub fn restart(&mut self, position: usize) {
        let port = self.members[position].port;
        self.members[position].process = start(self.directory.path(), port);
    }

    /// Asks the primary to hand over to another member.
    pub async fn step_down(&self) {
        let primary = self.members[self.primary().await].port;
        // The connection may end with the answer on its way.
        let _ = ask(primary, doc! { "replSetStepDown": 5, "force": true }).await;
    }
}
