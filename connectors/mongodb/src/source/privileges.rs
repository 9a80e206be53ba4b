//! What the user may do, as the server tells it, and what of that a source lacks.

use millrace_sdk::{Error, Result};
use mongodb::Client;
use mongodb::bson::{Document, doc};

use super::settings::{Scope, Settings, Startup};

/// Puts what is missing, and how to grant it, before an error; leaves it alone when nothing is missing or nothing is known.
pub(super) async fn explained(client: &Client, settings: &Settings, error: Error) -> Error {
    let Ok(Some((user, privileges))) = held(client).await else { return error };
    match advice(&user, settings, &privileges) {
        Some(advice) => Error::bad_config(advice).because(error),
        None => error,
    }
}

/// The user and the privileges; None when nobody has logged in.
async fn held(client: &Client) -> Result<Option<(String, Vec<Document>)>, mongodb::error::Error> {
    let status = client.database("admin").run_command(doc! { "connectionStatus": 1, "showPrivileges": true }).await?;
    let documents = |key: &str| -> Vec<Document> {
        let info = status.get_document("authInfo").ok();
        let array = info.and_then(|info| info.get_array(key).ok()).into_iter().flatten();
        array.filter_map(|one| one.as_document().cloned()).collect()
    };
    let users = documents("authenticatedUsers");
    let user = users.first().and_then(|user| user.get_str("user").ok()).map(str::to_owned);
    Ok(user.map(|user| (user, documents("authenticatedUserPrivileges"))))
}

/// What a source must be allowed to do, where: database and collection, empty for all.
fn needed(settings: &Settings) -> (Vec<&'static str>, &str, &str) {
    let mut actions = vec!["find", "changeStream"];
    let (database, collection) = match &settings.scope {
        Scope::Deployment => ("", ""),
        Scope::Database(database) => (database.as_str(), ""),
        Scope::Collection(database, collection) => (database.as_str(), collection.as_str()),
    };
    if settings.startup == Startup::Copy && collection.is_empty() {
        actions.push("listCollections");
    }
    (actions, database, collection)
}

fn advice(user: &str, settings: &Settings, privileges: &[Document]) -> Option<String> {
    let (actions, database, collection) = needed(settings);
    let missing: Vec<&str> =
        actions.into_iter().filter(|action| !allowed(privileges, action, database, collection)).collect();
    if missing.is_empty() {
        return None;
    }
    let (what, role) = match (database, collection) {
        ("", _) => ("all databases".to_owned(), "readAnyDatabase on admin".to_owned()),
        (database, "") => (format!("the database {database}"), format!("read on {database}")),
        (database, collection) => (format!("{database}.{collection}"), format!("read on {database}")),
    };
    let missing = missing.join(" and ");
    Some(format!(
        "the user {user} lacks {missing} on {what}: grant a role with {missing} there, or the role {role} \
         (db.grantRolesToUser(\"{user}\", …))"
    ))
}

/// Whether some privilege is of the action and covers the resource.
fn allowed(privileges: &[Document], action: &str, database: &str, collection: &str) -> bool {
    privileges.iter().any(|privilege| {
        let acts = privilege.get_array("actions").into_iter().flatten().any(|one| one.as_str() == Some(action));
        let Ok(resource) = privilege.get_document("resource") else { return false };
        let covers =
            |key: &str, wanted: &str| resource.get_str(key).is_ok_and(|held| held.is_empty() || held == wanted);
        let any = resource.get_bool("anyResource").unwrap_or(false);
        acts && (any || (covers("db", database) && covers("collection", collection)))
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)] // a test fails by panicking

    use millrace_sdk::Flat;
    use millrace_sdk::config::{definition, parse};

    use super::super::config::SourceConfig;
    use super::*;

    fn settings(more: &[(&str, &str)]) -> Settings {
        let keys = [&[("connection.uri", "mongodb://a/?replicaSet=r")], more].concat();
        let flat: Flat = keys.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
        Settings::resolve(&parse::<SourceConfig>(&definition::<SourceConfig>(), &flat).unwrap(), &flat).unwrap()
    }

    fn privilege(database: &str, collection: &str, actions: &[&str]) -> Document {
        doc! { "resource": { "db": database, "collection": collection }, "actions": actions }
    }

    #[test]
    fn what_is_missing_is_named_with_what_to_grant() {
        let collection = [("database", "shop"), ("collection", "orders")];
        let database = [("database", "shop")];
        let copy = [("database", "shop"), ("startup.mode", "copy_existing")];
        let all = privilege("", "", &["find", "changeStream", "listCollections"]);
        let root = doc! { "resource": { "anyResource": true }, "actions": ["find", "changeStream"] };
        let cluster = doc! { "resource": { "cluster": true }, "actions": ["find", "changeStream"] };
        for (keys, held, expected) in [
            (&collection[..], vec![privilege("shop", "orders", &["find", "changeStream"])], None),
            (&collection, vec![privilege("shop", "", &["find"]), privilege("", "", &["changeStream"])], None),
            (&collection, vec![all.clone()], None),
            (&collection, vec![root], None),
            (&collection, vec![cluster], Some("find and changeStream on shop.orders")),
            (&collection, vec![privilege("shop", "orders", &["find"])], Some("lacks changeStream on shop.orders")),
            (&collection, vec![privilege("shop", "", &["changeStream"])], Some("lacks find on shop.orders")),
            (&collection, vec![privilege("shop", "other", &["find", "changeStream"])], Some("find and changeStream")),
            (&database, vec![privilege("shop", "orders", &["find", "changeStream"])], Some("on the database shop")),
            (
                &copy,
                vec![privilege("shop", "", &["find", "changeStream"])],
                Some("lacks listCollections on the database shop"),
            ),
            (&[], vec![privilege("shop", "", &["find", "changeStream"])], Some("readAnyDatabase")),
            (&[], vec![all], None),
        ] {
            let advice = advice("me", &settings(keys), &held);
            match expected {
                None => assert_eq!(advice, None, "{keys:?} with {held:?}"),
                Some(words) => assert!(advice.as_ref().unwrap().contains(words), "{advice:?}"),
            }
        }
    }
}
