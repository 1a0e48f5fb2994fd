//! The headers of replies, for the document: those that follow from the status alone, so that no
//! route can forget them.

use super::each_operation;
use utoipa::openapi::extensions::Extensions;
use utoipa::openapi::schema::{ObjectBuilder, Type};
use utoipa::openapi::{Header, OpenApi, Ref, RefOr, Response};

/// Its name, what it says, its form, and whether it is always there.
type Described = (&'static str, &'static str, &'static str, bool);

const ALL: [Described; 4] = [
    ("Request-Id", "Finds the request in the log.", "^req_[0-9a-f]{28}$", true),
    ("WWW-Authenticate", "How to send a key.", "^Bearer ", true),
    ("Location", "Where to go on.", "^(https?://|/)", true),
    ("Retry-After", "Not before so many seconds have passed.", "^[0-9]+$", false),
];

/// Describes them, and names them at every response that bears them.
pub(super) fn describe(document: &mut OpenApi) {
    let components = document.components.get_or_insert_default();
    for one in ALL {
        components.headers.insert(one.0.to_owned(), RefOr::T(header(one)));
    }
    for (name, response) in &mut components.responses {
        let status: String = name.chars().filter(char::is_ascii_digit).collect();
        add(&status, response);
    }
    each_operation(document, |_, operation| {
        for (status, response) in &mut operation.responses.responses {
            add(status, response);
        }
    });
}

fn add(status: &str, response: &mut RefOr<Response>) {
    let RefOr::T(response) = response else { return };
    let more: &[&str] = match status {
        "401" => &["WWW-Authenticate"],
        "303" => &["Location"],
        "409" | "429" | "503" => &["Retry-After"],
        _ => &[],
    };
    for name in ["Request-Id"].iter().chain(more) {
        let reference = Ref::new(format!("#/components/headers/{name}"));
        response.headers.insert((*name).to_owned(), RefOr::Ref(reference));
    }
}

fn header((_, meaning, pattern, always): Described) -> Header {
    let text = ObjectBuilder::new().schema_type(Type::String).pattern(Some(pattern));
    let mut header = Header::new(text.build());
    header.description = Some(meaning.to_owned());
    let required: Extensions = [("required", always)].into_iter().collect();
    header.extensions = Some(required);
    header
}
