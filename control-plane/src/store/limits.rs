//! The limits that hold for every twin; etcd's, with a margin. Checked before a commit goes anywhere.

use std::collections::HashSet;

use super::{Commit, Guard, MAX_COMMIT, MAX_OPERATIONS, MAX_VALUE, StoreError, Write};

/// Refuses what etcd would refuse: too many operations, too many bytes, a key written twice.
pub(super) fn check_limits(commit: &Commit) -> Result<(), StoreError> {
    let operations = commit.guards.len() + commit.writes.len();
    if operations > MAX_OPERATIONS {
        return Err(StoreError::TooLarge(format!(
            "{operations} operations in one commit, at most {MAX_OPERATIONS} are allowed"
        )));
    }
    let mut bytes = 0;
    for guard in &commit.guards {
        let (Guard::Revision { key, .. } | Guard::Created { key, .. } | Guard::Absent { key }) = guard;
        bytes += key.len();
    }
    for write in &commit.writes {
        match write {
            Write::Put { key, value, .. } if value.len() > MAX_VALUE => {
                return Err(StoreError::TooLarge(format!(
                    "the value of {key} has {} bytes, at most {MAX_VALUE} are allowed",
                    value.len()
                )));
            }
            Write::Put { key, value, .. } => bytes += key.len() + value.len(),
            Write::Delete { key } | Write::DeletePrefix { prefix: key } => bytes += key.len(),
        }
    }
    if bytes > MAX_COMMIT {
        return Err(StoreError::TooLarge(format!("{bytes} bytes in one commit, at most {MAX_COMMIT} are allowed")));
    }
    check_overlap(&commit.writes)
}

fn check_overlap(writes: &[Write]) -> Result<(), StoreError> {
    let mut put = HashSet::new();
    for write in writes {
        if let Write::Put { key, .. } = write
            && !put.insert(key.as_str())
        {
            return Err(StoreError::Internal(format!("{key} is written twice in one commit")));
        }
    }
    for write in writes {
        let clash = match write {
            Write::Put { .. } => None,
            Write::Delete { key } => put.get(key.as_str()),
            Write::DeletePrefix { prefix } => put.iter().find(|key| key.starts_with(prefix.as_str())),
        };
        if let Some(key) = clash {
            return Err(StoreError::Internal(format!("{key} is both set and deleted in one commit")));
        }
    }
    Ok(())
}
