//! What `/openapi.json` promises: operations, their examples, and whether a reply is one that is
//! declared.

use super::caller::{Ask, Reply};
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;

/// The document, and validators for its schemas.
pub(super) struct Document(Value);

/// One operation.
#[derive(Debug, Clone)]
pub(super) struct Operation {
    pub(super) id: String,
    pub(super) method: String,
    /// With `{…}` where parameters stand.
    pub(super) path: String,
    pub(super) access: Access,
    value: Value,
}

/// Who may call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Access {
    Key,
    /// With a key or a charge's client secret.
    KeyOrSecret,
    Open,
}

impl Document {
    pub(super) fn read(text: &str) -> Document {
        Document(serde_json::from_str(text).unwrap())
    }

    pub(super) fn paths(&self) -> impl Iterator<Item = &String> {
        self.0["paths"].as_object().unwrap().keys()
    }

    /// All of them; those that only read come first.
    pub(super) fn operations(&self) -> Vec<Operation> {
        let items = self.0["paths"].as_object().unwrap().iter();
        let mut all: Vec<Operation> = items
            .flat_map(|(path, item)| {
                let methods = item.as_object().unwrap().iter();
                methods.map(|(method, value)| self.operation(path, method, value))
            })
            .collect();
        all.sort_by_key(|one| (one.method != "GET", one.path.clone()));
        all
    }

    fn operation(&self, path: &str, method: &str, value: &Value) -> Operation {
        let security = value.get("security").unwrap_or(&self.0["security"]);
        let ways = security.as_array().unwrap();
        let is_open = ways.is_empty() || ways.contains(&json!({}));
        let takes_key = ways.contains(&json!({"key": []}));
        let access = match (takes_key, is_open) {
            (true, false) => Access::Key,
            (true, true) => Access::KeyOrSecret,
            (false, true) => Access::Open,
            (false, false) => panic!("{method} {path}: nobody may call it"),
        };
        Operation {
            id: value["operationId"].as_str().unwrap().to_owned(),
            method: method.to_uppercase(),
            path: path.to_owned(),
            access,
            value: value.clone(),
        }
    }

    /// Why the reply is none that the operation declares.
    pub(super) fn undeclared(&self, operation: &Operation, reply: &Reply) -> Option<String> {
        let responses = operation.value["responses"].as_object().unwrap();
        let range = format!("{}XX", reply.status / 100);
        let declared =
            [reply.status.to_string(), range].iter().find_map(|status| responses.get(status));
        let Some(declared) = declared else { return Some("the status is not declared".to_owned()) };
        let declared = self.resolved(declared);
        self.wrong_header(declared, reply).or_else(|| self.wrong_content(declared, reply))
    }

    fn wrong_header(&self, declared: &Value, reply: &Reply) -> Option<String> {
        let headers = declared["headers"].as_object().into_iter().flatten();
        headers.map(|(name, header)| (name, self.resolved(header))).find_map(|(name, header)| {
            let Some(value) = reply.header(name) else {
                return (header["required"] == true).then(|| format!("{name} is missing"));
            };
            self.mismatch(&header["schema"], &json!(value)).map(|why| format!("{name}: {why}"))
        })
    }

    fn wrong_content(&self, declared: &Value, reply: &Reply) -> Option<String> {
        let Some(contents) = declared["content"].as_object() else {
            let is_empty = reply.body.is_empty();
            return (!is_empty).then(|| format!("a body, and none is declared: {}", reply.text()));
        };
        let essence = |media: &str| media.split(';').next().unwrap_or("").trim().to_owned();
        let media = essence(reply.header("content-type").unwrap_or(""));
        let content = contents.iter().find(|(name, _)| essence(name) == media);
        let Some((_, content)) = content.or_else(|| contents.iter().find(|(n, _)| *n == "*/*"))
        else {
            return Some(format!("the content type {media:?} is not declared"));
        };
        let schema = &content["schema"];
        match media.as_str() {
            "application/json" | "application/problem+json" => self.mismatch(schema, &reply.json()),
            "text/event-stream" => self.wrong_event(schema, reply),
            _ => None,
        }
    }

    fn wrong_event(&self, schema: &Value, reply: &Reply) -> Option<String> {
        let text = reply.text();
        let line = text.lines().find_map(|line| line.strip_prefix("data: "))?;
        let data: Value = serde_json::from_str(line).unwrap();
        let content = &self.resolved(schema)["properties"]["data"]["contentSchema"];
        assert!(content.is_object(), "the data of events has no schema");
        self.mismatch(content, &data)
    }

    fn mismatch(&self, schema: &Value, value: &Value) -> Option<String> {
        let mut whole: Map<String, Value> = schema.as_object().cloned().unwrap_or_default();
        whole.insert("components".to_owned(), self.0["components"].clone());
        let validator = jsonschema::options()
            .should_validate_formats(true)
            .build(&Value::Object(whole))
            .unwrap();
        let error = validator.iter_errors(value).next()?;
        Some(format!("{error} at {} of {value}", error.instance_path()))
    }

    fn resolved<'a>(&'a self, value: &'a Value) -> &'a Value {
        match value["$ref"].as_str() {
            Some(reference) => self.0.pointer(reference.trim_start_matches('#')).unwrap(),
            None => value,
        }
    }
}

impl Operation {
    /// The body that the document gives as an example, and its type.
    pub(super) fn example(&self) -> Option<(String, Value)> {
        let contents = self.value["requestBody"]["content"].as_object()?;
        let (media, content) = contents.iter().next().unwrap();
        let example = content.get("example").cloned().unwrap_or_else(|| json!({}));
        Some((media.clone(), example))
    }

    /// Whether this is one of the statuses that the document calls good.
    pub(super) fn is_good(&self, status: u16) -> bool {
        let responses = self.value["responses"].as_object().unwrap();
        status < 400 && responses.contains_key(&status.to_string())
    }

    pub(super) fn has_parameter(&self, name: &str) -> bool {
        let parameters = self.value["parameters"].as_array().into_iter().flatten();
        parameters.into_iter().any(|parameter| parameter["name"] == name)
    }

    /// Whether it gives a list of objects that belong to an app.
    pub(super) fn is_list(&self) -> bool {
        self.has_parameter("starting_after")
    }

    pub(super) fn ask(&self, target: impl Into<String>) -> Ask {
        Ask::new(&self.method, target)
    }
}

/// Which methods the document has for each path.
pub(super) fn methods(operations: &[Operation]) -> BTreeMap<String, Vec<String>> {
    let mut methods: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for one in operations {
        methods.entry(one.path.clone()).or_default().push(one.method.clone());
    }
    methods
}
