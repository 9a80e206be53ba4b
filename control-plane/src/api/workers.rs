//! `millrace.v1.WorkerService`.

use std::collections::HashMap;

use millrace_proto::v1::worker_service_server::WorkerService;
use millrace_proto::v1::{ListWorkersRequest, ListWorkersResponse, Worker};
use tonic::{Request, Response, Status};

use super::errors::status;
use crate::model;
use crate::service::{Service, ServiceError, decode};
use crate::store::keys;

/// The service.
pub(super) struct Workers {
    pub(super) service: Service,
}

#[tonic::async_trait]
impl WorkerService for Workers {
    async fn list_workers(&self, _: Request<ListWorkersRequest>) -> Result<Response<ListWorkersResponse>, Status> {
        list(&self.service).await.map(|workers| Response::new(ListWorkersResponse { workers })).map_err(status)
    }
}

/// Live workers, and those that are gone while tasks are still assigned to them.
async fn list(service: &Service) -> Result<Vec<Worker>, ServiceError> {
    let mut tasks: HashMap<String, i32> = HashMap::new();
    for entry in service.store().list(keys::ASSIGNMENTS).await?.entries {
        if let Some(keys::Key::Assignment(worker)) = keys::parse(&entry.key) {
            let assignment: model::Assignment = decode(&entry)?;
            tasks.insert(worker, i32::try_from(assignment.tasks.len()).unwrap_or(i32::MAX));
        }
    }
    let mut workers = Vec::new();
    for entry in service.store().list(keys::WORKERS).await?.entries {
        let worker: model::Worker = decode(&entry)?;
        workers.push(Worker {
            tasks: tasks.remove(&worker.id).unwrap_or_default(),
            id: worker.id,
            address: worker.address,
            labels: worker.labels.into_iter().collect(),
            version: worker.version,
            capacity: i32::try_from(worker.capacity).unwrap_or(i32::MAX),
            live: true,
        });
    }
    let gone = tasks.into_iter().filter(|(_, tasks)| *tasks > 0);
    workers.extend(gone.map(|(id, tasks)| Worker { id, tasks, ..Worker::default() }));
    workers.sort_by(|a, b| a.id.cmp(&b.id));
    Ok(workers)
}
