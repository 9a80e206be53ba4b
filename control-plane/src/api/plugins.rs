//! `millrace.v1.PluginService`.

use millrace_proto::v1::plugin_service_server::PluginService;
use millrace_proto::v1::{
    ConfigKey, GetPluginRequest, GetPluginResponse, ListPluginsRequest, ListPluginsResponse, Plugin,
};
use tonic::{Request, Response, Status};

use crate::model;
use crate::service::Service;
use crate::wire;

/// The service.
pub(super) struct Plugins {
    pub(super) service: Service,
}

#[tonic::async_trait]
impl PluginService for Plugins {
    async fn list_plugins(&self, _: Request<ListPluginsRequest>) -> Result<Response<ListPluginsResponse>, Status> {
        let catalogue = self.service.mirror().catalogue();
        let plugins = catalogue.plugins().iter().map(|plugin| describe(plugin)).collect();
        Ok(Response::new(ListPluginsResponse { plugins }))
    }

    async fn get_plugin(&self, request: Request<GetPluginRequest>) -> Result<Response<GetPluginResponse>, Status> {
        let class = request.into_inner().class;
        let catalogue = self.service.mirror().catalogue();
        let plugin = catalogue.find(&class).ok_or_else(|| Status::not_found(catalogue.unknown(&class).plain))?;
        let config_keys = plugin
            .config
            .keys
            .iter()
            .map(|key| ConfigKey {
                name: key.name.clone(),
                r#type: key.kind.name().to_owned(),
                required: key.required,
                default_value: key.default.clone(),
                documentation: key.doc.clone(),
                group: key.group.clone(),
                allowed_values: key.allowed.clone(),
            })
            .collect();
        Ok(Response::new(GetPluginResponse { plugin: Some(describe(plugin)), config_keys }))
    }
}

fn describe(plugin: &model::Plugin) -> Plugin {
    Plugin {
        class: plugin.class.clone(),
        aliases: plugin.aliases.clone(),
        kind: wire::kind(Some(plugin.kind)).into(),
        version: plugin.version.clone(),
        description: plugin.description.clone(),
    }
}
