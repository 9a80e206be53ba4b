//! `delete`, `pause`, `resume`, `stop`, `restart`.

use millrace_proto::v1;

use super::view::task_state;
use super::wait::{Outdated, Wanted, outdated, wait_for, wait_gone};
use super::{Api, within};
use crate::args::{Names, Restart, without_noun};
use crate::failure::Failure;
use crate::output::print;

/// What is done to each of the connectors named.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verb {
    Delete,
    Pause,
    Resume,
    Stop,
}

/// `millrace delete|pause|resume|stop`
pub(crate) async fn change(verb: Verb, args: &Names) -> Result<(), Failure> {
    let api = Api::connect(&args.client).await?;
    let names = without_noun(&args.names);
    for connector in names {
        let name = api.name_of(connector);
        let mut client = api.connectors();
        let (infinitive, done, answer) = match verb {
            Verb::Delete => {
                let request = v1::DeleteConnectorRequest { name, etag: String::new() };
                ("delete", "deleted", client.delete_connector(within(request)).await.map(drop))
            }
            Verb::Pause => {
                ("pause", "paused", client.pause_connector(within(v1::PauseConnectorRequest { name })).await.map(drop))
            }
            Verb::Resume => (
                "resume",
                "resumed",
                client.resume_connector(within(v1::ResumeConnectorRequest { name })).await.map(drop),
            ),
            Verb::Stop => {
                ("stop", "stopped", client.stop_connector(within(v1::StopConnectorRequest { name })).await.map(drop))
            }
        };
        answer.map_err(|status| api.failure(format!("cannot {infinitive} connector {connector}"), &status))?;
        print(&format!("connector {connector} {done}\n"))?;
    }
    if args.wait.wait {
        for connector in names {
            match verb {
                Verb::Delete => wait_gone(&api, connector, args.wait.timeout).await?,
                Verb::Pause => wait_for(&api, connector, Wanted::Paused, &Outdated::new(), args.wait.timeout).await?,
                Verb::Resume => wait_for(&api, connector, Wanted::Running, &Outdated::new(), args.wait.timeout).await?,
                Verb::Stop => wait_for(&api, connector, Wanted::Stopped, &Outdated::new(), args.wait.timeout).await?,
            }
        }
    }
    Ok(())
}

/// `millrace restart`
pub(crate) async fn restart(args: &Restart) -> Result<(), Failure> {
    let api = Api::connect(&args.client).await?;
    let names = without_noun(&args.names);
    let mut before = Vec::new();
    for connector in names {
        let status = api.status(connector).await?;
        before.push(outdated(&status, |task| match args.task {
            Some(index) => task.index == index,
            None => !args.only_failed || task_state(task.state) == "FAILED",
        }));
        let request = v1::RestartConnectorRequest {
            name: api.name_of(connector),
            include_tasks: true,
            only_failed: args.only_failed,
            task: args.task,
        };
        let answer = api.connectors().restart_connector(within(request)).await;
        answer.map_err(|status| api.failure(format!("cannot restart connector {connector}"), &status))?;
        let what = args.task.map_or_else(|| "restarted".to_owned(), |task| format!("task {task} restarted"));
        print(&format!("connector {connector} {what}\n"))?;
    }
    if args.wait.wait {
        for (connector, before) in names.iter().zip(&before) {
            wait_for(&api, connector, Wanted::Running, before, args.wait.timeout).await?;
        }
    }
    Ok(())
}
