//! Resource names and page tokens. Pure.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use tonic::Status;

use super::errors::bad_field;
use crate::config::valid_tenant;
use crate::model::ConnectorId;

/// `tenants/{tenant}`
pub(super) fn tenant(field: &'static str, name: &str) -> Result<String, Status> {
    name.strip_prefix("tenants/")
        .filter(|tenant| valid_tenant(tenant))
        .map(str::to_owned)
        .ok_or_else(|| bad_field(field, format!("\"{name}\" is not of the form tenants/{{tenant}}")))
}

/// `tenants/{tenant}/connectors/{connector}`; the connector's name is all of the rest.
pub(super) fn connector(field: &'static str, name: &str) -> Result<ConnectorId, Status> {
    name.strip_prefix("tenants/")
        .and_then(|rest| rest.split_once("/connectors/"))
        .filter(|(tenant, connector)| valid_tenant(tenant) && !connector.is_empty())
        .map(|(tenant, connector)| ConnectorId { tenant: tenant.to_owned(), connector: connector.to_owned() })
        .ok_or_else(|| {
            bad_field(field, format!("\"{name}\" is not of the form tenants/{{tenant}}/connectors/{{connector}}"))
        })
}

/// Where the next page begins: after this connector.
pub(super) fn page_token(last: &str) -> String {
    URL_SAFE_NO_PAD.encode(last)
}

/// The connector after which the page begins.
pub(super) fn after(token: &str) -> Result<Option<String>, Status> {
    if token.is_empty() {
        return Ok(None);
    }
    let bytes = URL_SAFE_NO_PAD.decode(token).ok().and_then(|bytes| String::from_utf8(bytes).ok());
    bytes.map(Some).ok_or_else(|| bad_field("page_token", "not a token of an earlier answer"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_taken_apart() {
        assert_eq!(tenant("parent", "tenants/default").unwrap(), "default");
        for bad in ["default", "tenants/", "tenants/A", "tenants/a/connectors/b"] {
            assert_eq!(tenant("parent", bad).unwrap_err().code(), tonic::Code::InvalidArgument, "{bad}");
        }
        let id = connector("name", "tenants/t/connectors/a/b c").unwrap();
        assert_eq!((id.tenant.as_str(), id.connector.as_str()), ("t", "a/b c"));
        assert_eq!(connector("name", &id.to_string()).unwrap(), id);
        for bad in ["tenants/t", "tenants/t/connectors/", "connectors/a"] {
            assert!(connector("name", bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_page_token_comes_back() {
        assert_eq!(after(&page_token("a é/b")).unwrap().as_deref(), Some("a é/b"));
        assert_eq!(after("").unwrap(), None);
        assert!(after("%%%").is_err());
    }
}
