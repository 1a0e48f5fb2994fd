//! The forms of single values, for the document alone: ids, keys, names, addresses, and what a
//! server-sent event carries. What is read is checked by the types and the engine.

use super::objects::{Charge, EventType};
use crate::cashier::Standing;
use crate::v1::watch::PayerView;
use serde_json::{Value, json};
use tongbao_types::{AttemptId as At, Provider, RefundId as Re};
use tongbao_types::{Channel, ChargeId as Ch, DeliveryId as Dl, EndpointId as We, EventId as Evt};
use utoipa::openapi::extensions::Extensions;
use utoipa::openapi::schema::{AnyOfBuilder, ObjectBuilder, SchemaFormat, Type};
use utoipa::openapi::{Ref, RefOr, Schema};
use utoipa::{IntoParams, PartialSchema, ToSchema};

type Schemas = Vec<(String, RefOr<Schema>)>;

/// Characters that can be shown, on one line.
const LINE: &str = r"^[^\u0000-\u001f\u007f-\u009f\u2028\u2029\ufffe\uffff]*$";

/// Characters that can be shown, on any number of lines.
const LINES: &str =
    r"^[^\u0000-\u0008\u000b\u000c\u000e-\u001f\u007f-\u009f\u2028\u2029\ufffe\uffff]*$";

fn text() -> ObjectBuilder {
    ObjectBuilder::new().schema_type(Type::String)
}

fn formatted(format: &str) -> Schema {
    text().format(Some(SchemaFormat::Custom(format.to_owned()))).build().into()
}

fn shown(length_max: usize, pattern: &str) -> ObjectBuilder {
    text().min_length(Some(1)).max_length(Some(length_max)).pattern(Some(pattern))
}

/// 128 bits in base32: of the last character's five bits only three are used.
fn id(prefix: &str, example: &str) -> RefOr<Schema> {
    let pattern = format!("^{prefix}[0-9a-v]{{25}}[048cgkos]$");
    text().pattern(Some(pattern)).examples([format!("{prefix}{example}")]).build().into()
}

macro_rules! values {
    ($($(#[$doc:meta])* $name:ident: $schema:expr;)*) => {$(
        $(#[$doc])*
        pub(crate) struct $name;

        impl PartialSchema for $name {
            fn schema() -> RefOr<Schema> {
                $schema
            }
        }

        impl ToSchema for $name {}
    )*};
}

values! {
    /// The id of an attempt.
    AttemptId: id(At::PREFIX, "06bae2r3pdt3jc5s0vbh9p2a1s");
    /// The id of a charge.
    ChargeId: id(Ch::PREFIX, "06bae2r3pdt3jc5s0vbh9p2a1k");
    /// The id of a delivery.
    DeliveryId: id(Dl::PREFIX, "06bae2r3pdt3jc5s0vbh9p2a28");
    /// The id of a webhook endpoint.
    EndpointId: id(We::PREFIX, "06bae2r3pdt3jc5s0vbh9p2a24");
    /// The id of an event.
    EventId: id(Evt::PREFIX, "06bae2r3pdt3jc5s0vbh9p2a20");
    /// The id of a refund.
    RefundId: id(Re::PREFIX, "06bae2r3pdt3jc5s0vbh9p2a1o");
    /// Any text of yours. Blanks at its ends are the network's and not kept.
    IdempotencyKey: text()
        .min_length(Some(1))
        .max_length(Some(255))
        .pattern(Some("^[!-~]([ -~]*[!-~])?$"))
        .build()
        .into();
    /// One line for the payer of a charge.
    Subject: shown(127, LINE).examples(["Coffee beans, 250 g"]).into();
    /// A longer text about a charge.
    Description: shown(1000, LINES).into();
    /// What comes back in a provider's messages.
    Attachment: shown(127, LINES).into();
    /// One line for the payer of a refund.
    Reason: shown(80, LINE).examples(["One bag was damaged"]).into();
    /// Your own words about a webhook endpoint.
    EndpointDescription: shown(200, LINES).into();
    /// Your own notes: names and texts.
    Notes: {
        let name = shown(40, LINE);
        let value = shown(500, LINES).min_length(None);
        ObjectBuilder::new()
            .property_names(Some(name.build()))
            .additional_properties(Some(value))
            .max_properties(Some(50))
            .into()
    };
    /// The name of a channel account.
    AccountName: text()
        .min_length(Some(1))
        .max_length(Some(80))
        .pattern(Some("^[a-z0-9_-]+$"))
        .examples(["dev_wechat_v3"])
        .build()
        .into();
    /// An address of version 4 or 6.
    IpAddress: AnyOfBuilder::new().item(formatted("ipv4")).item(formatted("ipv6")).into();
    /// Whose bill: a provider's, or a channel's.
    BillWhose: {
        let providers = Provider::ALL.iter().map(|provider| provider.as_str());
        let words = providers.chain(Channel::ALL.iter().map(|channel| channel.as_str()));
        text().enum_values(Some(words)).build().into()
    };
    /// What the lines of a bill are of.
    BillKind: text().enum_values(Some(["trade", "fund_flow"])).build().into();
    /// In which form a bill is wanted.
    BillFormat: text().enum_values(Some(["original", "jsonl"])).build().into();
    /// The name of an event, or a beginning of such names with `*` after it.
    EventPattern: {
        let beginning = text().pattern(Some("^[a-z_.]*\\*$")).build();
        AnyOfBuilder::new().item(Ref::from_schema_name(EventType::name())).item(beginning).into()
    };
}

/// Any bytes, in whatever type they come.
pub(crate) struct Anything;

impl PartialSchema for Anything {
    fn schema() -> RefOr<Schema> {
        ObjectBuilder::new().schema_type(utoipa::openapi::schema::SchemaType::AnyValue).into()
    }
}

impl ToSchema for Anything {}

macro_rules! messages {
    ($($(#[$doc:meta])* $name:ident of $($content:ident),+;)*) => {$(
        $(#[$doc])*
        pub(crate) struct $name;

        impl PartialSchema for $name {
            fn schema() -> RefOr<Schema> {
                message(&[$(&$content::name()),+])
            }
        }

        impl ToSchema for $name {
            fn schemas(schemas: &mut Schemas) {
                $(
                    schemas.push(($content::name().into_owned(), $content::schema()));
                    $content::schemas(schemas);
                )+
            }
        }
    )*};
}

messages! {
    /// A server-sent event with the charge as it is: all of it for a key, what a payer may see for
    /// a client secret.
    ChargeMessage of Charge, PayerView;
    /// A server-sent event that says where a charge stands.
    StandingMessage of Standing;
}

/// A server-sent event whose `data` is the JSON of one of these schemas.
fn message(contents: &[&str]) -> RefOr<Schema> {
    let reference = |name: &&str| json!({"$ref": format!("#/components/schemas/{name}")});
    let content = match contents {
        [one] => reference(one),
        several => json!({"anyOf": several.iter().map(reference).collect::<Vec<Value>>()}),
    };
    let content: Extensions = [("contentSchema", content)].into_iter().collect();
    let data = text().content_media_type("application/json").extensions(Some(content)).build();
    ObjectBuilder::new().property("data", data).required("data").into()
}

macro_rules! pages {
    ($($(#[$doc:meta])* $name:ident of $id:ident,)*) => {$(
        $(#[$doc])*
        #[derive(IntoParams)]
        #[into_params(parameter_in = Query)]
        #[expect(dead_code, reason = "it describes parameters; nobody makes values of it")]
        pub(crate) struct $name {
            /// At most so many; 10 if not said.
            #[param(minimum = 1, maximum = 100)]
            limit: Option<u32>,
            /// Only those after the object with this id (older ones).
            #[param(value_type = Option<$id>)]
            starting_after: Option<String>,
            /// Only those before the object with this id (newer ones). Not with `starting_after`.
            #[param(value_type = Option<$id>)]
            ending_before: Option<String>,
        }
    )*};
}

pages! {
    /// Which part of the charges is wanted.
    ChargePage of ChargeId,
    /// Which part of the refunds is wanted.
    RefundPage of RefundId,
    /// Which part of the events is wanted.
    EventPage of EventId,
    /// Which part of the webhook endpoints is wanted.
    EndpointPage of EndpointId,
    /// Which part of the deliveries is wanted.
    DeliveryPage of DeliveryId,
}

#[cfg(test)]
mod tests {
    use super::*;
    use tongbao_types::{Mint, Timestamp};

    #[test]
    fn a_real_id_has_the_documented_form_and_so_has_the_example() {
        let RefOr::T(Schema::Object(schema)) = ChargeId::schema() else { panic!("an object") };
        let pattern = schema.pattern.expect("ids have a pattern");
        assert_eq!(pattern, "^ch_[0-9a-v]{25}[048cgkos]$");
        let example = schema.examples[0].as_str().expect("a text").to_owned();
        assert!(example.parse::<Ch>().is_ok(), "{example}");
        for byte in 0..=255 {
            let made: Ch = Mint::new(Timestamp::from_seconds(1), [byte; 10]).id();
            let last = made.to_string().pop().expect("an id has characters");
            assert!("048cgkos".contains(last), "{made}");
        }
    }
}
