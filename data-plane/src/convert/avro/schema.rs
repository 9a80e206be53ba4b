//! Avro schemas, parsed from their JSON text into nodes that refer to each other by number, so that a recursive type is a
//! circle of numbers.

use std::collections::HashMap;

use millrace_sdk::{Error, Result};
use serde_json::{Map, Value as Json};

/// A node's number.
pub(super) type NodeId = usize;

/// More nodes are refused.
const MAX_NODES: usize = 100_000;
/// Deeper nesting is refused.
const MAX_DEPTH: usize = 64;

#[derive(Debug)]
pub(super) struct AvroSchema {
    nodes: Vec<Node>,
    pub(super) root: NodeId,
}

#[derive(Debug)]
pub(super) struct Node {
    pub(super) kind: Kind,
    /// Of a record or an enum
    pub(super) doc: Option<String>,
    /// What Avro itself does not know, such as `connect.name` and `logicalType`
    pub(super) props: Map<String, Json>,
}

#[derive(Debug)]
pub(super) enum Kind {
    Null,
    Boolean,
    Int,
    Long,
    Float,
    Double,
    Bytes,
    String,
    Fixed { name: Name, size: usize },
    Enum { name: Name, symbols: Vec<String>, default: Option<String> },
    Array(NodeId),
    Map(NodeId),
    Union(Vec<NodeId>),
    Record { name: Name, fields: Vec<Field> },
}

/// A full name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Name(String);

impl Name {
    pub(super) fn full(&self) -> &str {
        &self.0
    }

    /// Without the namespace.
    pub(super) fn simple(&self) -> &str {
        self.0.rsplit('.').next().unwrap_or(&self.0)
    }

    fn namespace(&self) -> &str {
        self.0.rsplit_once('.').map_or("", |(namespace, _)| namespace)
    }

    /// A name as it is written within a namespace.
    fn of(name: &str, namespace: &str) -> Self {
        if name.contains('.') || namespace.is_empty() {
            Self(name.trim_start_matches('.').to_owned())
        } else {
            Self(format!("{namespace}.{name}"))
        }
    }
}

/// A field of a record.
#[derive(Debug)]
pub(super) struct Field {
    pub(super) name: String,
    pub(super) doc: Option<String>,
    /// `Json::Null` is a default, too
    pub(super) default: Option<Json>,
    pub(super) node: NodeId,
    pub(super) props: Map<String, Json>,
}

const PRIMITIVES: &[&str] = &["null", "boolean", "int", "long", "float", "double", "bytes", "string"];

fn primitive(name: &str) -> Option<Kind> {
    Some(match name {
        "null" => Kind::Null,
        "boolean" => Kind::Boolean,
        "int" => Kind::Int,
        "long" => Kind::Long,
        "float" => Kind::Float,
        "double" => Kind::Double,
        "bytes" => Kind::Bytes,
        "string" => Kind::String,
        _ => return None,
    })
}

/// The names that Avro gives a meaning; the rest are properties.
const RESERVED: &[&str] =
    &["type", "name", "namespace", "doc", "fields", "symbols", "items", "values", "size", "aliases", "default"];

impl AvroSchema {
    /// Parses a schema; `references` are those it names, each after what it needs itself.
    pub(super) fn parse<'a>(text: &str, references: impl IntoIterator<Item = &'a str>) -> Result<Self> {
        let mut parser = Parser { nodes: Vec::new(), names: HashMap::new() };
        for reference in references {
            parser.node(&json(reference)?, "", 0)?;
        }
        let root = parser.node(&json(text)?, "", 0)?;
        Ok(Self { nodes: parser.nodes, root })
    }

    pub(super) fn node(&self, id: NodeId) -> &Node {
        &self.nodes[id]
    }

    pub(super) fn kind(&self, id: NodeId) -> &Kind {
        &self.nodes[id].kind
    }

    /// The full name of a record, enum or fixed.
    pub(super) fn name(&self, id: NodeId) -> Option<&Name> {
        match self.kind(id) {
            Kind::Record { name, .. } | Kind::Enum { name, .. } | Kind::Fixed { name, .. } => Some(name),
            _ => None,
        }
    }
}

impl Node {
    /// A property that is text.
    pub(super) fn text(&self, name: &str) -> Option<&str> {
        self.props.get(name).and_then(Json::as_str)
    }
}

fn json(text: &str) -> Result<Json> {
    // The registry gives a primitive schema as "int" or, without quotes, as int.
    if PRIMITIVES.contains(&text.trim()) {
        return Ok(Json::String(text.trim().to_owned()));
    }
    serde_json::from_str(text).map_err(|error| Error::bad_record("the Avro schema is not JSON").because(error))
}

fn bad(what: impl std::fmt::Display) -> Error {
    Error::bad_record(format!("invalid Avro schema: {what}"))
}

struct Parser {
    nodes: Vec<Node>,
    names: HashMap<String, NodeId>,
}

impl Parser {
    fn add(&mut self, kind: Kind, doc: Option<String>, props: Map<String, Json>) -> Result<NodeId> {
        if self.nodes.len() >= MAX_NODES {
            return Err(bad(format!("it has more than {MAX_NODES} parts")));
        }
        self.nodes.push(Node { kind, doc, props });
        Ok(self.nodes.len() - 1)
    }

    fn node(&mut self, json: &Json, namespace: &str, depth: usize) -> Result<NodeId> {
        if depth > MAX_DEPTH {
            return Err(bad(format!("it is nested deeper than {MAX_DEPTH} levels")));
        }
        match json {
            Json::String(name) => match primitive(name) {
                Some(kind) => self.add(kind, None, Map::new()),
                None => self.named(name, namespace),
            },
            Json::Array(branches) => {
                let branches = branches.iter().map(|branch| self.node(branch, namespace, depth + 1));
                let branches = branches.collect::<Result<Vec<_>>>()?;
                if branches.is_empty() {
                    return Err(bad("a union of nothing"));
                }
                self.add(Kind::Union(branches), None, Map::new())
            }
            Json::Object(object) => self.object(object, namespace, depth),
            other => Err(bad(format!("{other} is no type"))),
        }
    }

    fn named(&self, name: &str, namespace: &str) -> Result<NodeId> {
        let full = Name::of(name, namespace);
        let found = self.names.get(full.full()).or_else(|| self.names.get(name));
        found.copied().ok_or_else(|| bad(format!("the type {name} is not defined")))
    }

    fn object(&mut self, object: &Map<String, Json>, namespace: &str, depth: usize) -> Result<NodeId> {
        let kind = match object.get("type") {
            Some(Json::String(kind)) => kind.as_str(),
            // {"type": {"type": …}}
            Some(inner @ (Json::Object(_) | Json::Array(_))) => return self.node(inner, namespace, depth + 1),
            _ => return Err(bad("a type without \"type\"")),
        };
        let doc = object.get("doc").and_then(Json::as_str).map(str::to_owned);
        let part = |name: &str| object.get(name).ok_or_else(|| bad(format!("{kind} without \"{name}\"")));
        let props = properties(object, |name| RESERVED.contains(&name) && !(name == "default" && kind != "enum"));
        match kind {
            "array" => {
                let items = self.node(part("items")?, namespace, depth + 1)?;
                self.add(Kind::Array(items), None, props)
            }
            "map" => {
                let values = self.node(part("values")?, namespace, depth + 1)?;
                self.add(Kind::Map(values), None, props)
            }
            "record" | "error" => {
                let name = self.name_of(object, namespace)?;
                let id = self.define(Kind::Record { name: name.clone(), fields: Vec::new() }, &name, doc, props)?;
                let Json::Array(list) = part("fields")? else { return Err(bad("\"fields\" is no list")) };
                let fields = list.iter().map(|field| self.field(field, name.namespace(), depth + 1));
                let fields = fields.collect::<Result<Vec<_>>>()?;
                self.nodes[id].kind = Kind::Record { name, fields };
                Ok(id)
            }
            "enum" => {
                let name = self.name_of(object, namespace)?;
                let Json::Array(list) = part("symbols")? else { return Err(bad("\"symbols\" is no list")) };
                let symbols = list.iter().map(|symbol| symbol.as_str().map(str::to_owned));
                let symbols = symbols.collect::<Option<Vec<_>>>().ok_or_else(|| bad("a symbol that is no text"))?;
                let default = object.get("default").and_then(Json::as_str).map(str::to_owned);
                self.define(Kind::Enum { name: name.clone(), symbols, default }, &name, doc, props)
            }
            "fixed" => {
                let name = self.name_of(object, namespace)?;
                let size = part("size")?.as_u64().and_then(|size| usize::try_from(size).ok());
                let size = size.ok_or_else(|| bad("\"size\" is no size"))?;
                self.define(Kind::Fixed { name: name.clone(), size }, &name, doc, props)
            }
            other => match primitive(other) {
                Some(kind) => self.add(kind, None, props),
                None => self.named(other, namespace),
            },
        }
    }

    fn name_of(&self, object: &Map<String, Json>, namespace: &str) -> Result<Name> {
        let name = object.get("name").and_then(Json::as_str).ok_or_else(|| bad("a named type without \"name\""))?;
        let namespace = object.get("namespace").and_then(Json::as_str).unwrap_or(namespace);
        let name = Name::of(name, namespace);
        if self.names.contains_key(name.full()) {
            return Err(bad(format!("{} is defined twice", name.full())));
        }
        Ok(name)
    }

    fn define(&mut self, kind: Kind, name: &Name, doc: Option<String>, props: Map<String, Json>) -> Result<NodeId> {
        let id = self.add(kind, doc, props)?;
        self.names.insert(name.full().to_owned(), id);
        Ok(id)
    }

    fn field(&mut self, json: &Json, namespace: &str, depth: usize) -> Result<Field> {
        let Json::Object(object) = json else { return Err(bad("a field that is no object")) };
        let name = object.get("name").and_then(Json::as_str).ok_or_else(|| bad("a field without \"name\""))?;
        let node = object.get("type").ok_or_else(|| bad(format!("the field {name} without \"type\"")))?;
        Ok(Field {
            name: name.to_owned(),
            doc: object.get("doc").and_then(Json::as_str).map(str::to_owned),
            default: object.get("default").cloned(),
            node: self.node(node, namespace, depth)?,
            props: properties(object, |name| RESERVED.contains(&name) || name == "order"),
        })
    }
}

fn properties(object: &Map<String, Json>, reserved: impl Fn(&str) -> bool) -> Map<String, Json> {
    let own = object.iter().filter(|(name, _)| !reserved(name));
    own.map(|(name, value)| (name.clone(), value.clone())).collect()
}
