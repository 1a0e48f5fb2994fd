//! The flat XML of API v2 as an ordered list of names and texts.
//!
//! Read as events, within bounds, and refusing all that the protocol does not use: document types
//! (and so external entities and entity bombs), attributes, nesting, duplicates, a second root.
//! What signatures are over is exactly what [`Fields`] holds.

use quick_xml::Reader;
use quick_xml::events::{BytesDecl, BytesRef, BytesStart, Event};

/// The largest body read from either side, in bytes; real messages stay below 5 KiB.
pub const BODY_BYTES_MAX: usize = 64 * 1024;

/// The most fields of one message; a payment with fifty coupons has about 180.
const FIELDS_MAX: usize = 512;

/// Why bytes are not a message of API v2.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum XmlError {
    /// More than [`BODY_BYTES_MAX`].
    #[error("the body is larger than 64 KiB")]
    TooLarge,
    /// Nothing but white space.
    #[error("the body is empty")]
    Empty,
    /// Not UTF-8, or declared to be something else.
    #[error("the body is not UTF-8")]
    NotUtf8,
    /// A document type, the door of external entities and entity bombs.
    #[error("the body has a DOCTYPE")]
    Doctype,
    /// An entity beyond the five that XML itself has.
    #[error("the body uses the entity {0:?}")]
    Entity(String),
    /// A tag whose name has other characters than the protocol's names.
    #[error("the tag name {0:?} is none of WeChat's")]
    Name(String),
    /// A tag with attributes.
    #[error("the tag {0:?} has attributes")]
    Attribute(String),
    /// The same field twice.
    #[error("the field {0:?} comes twice")]
    Duplicate(String),
    /// An element inside a field.
    #[error("the field {0:?} holds an element")]
    Depth(String),
    /// Another root than the one wanted.
    #[error("the root is {0:?}")]
    Root(String),
    /// Anything but white space or comments after the root's end.
    #[error("something follows the end of the root")]
    Trailing,
    /// Text that belongs to no field.
    #[error("there is text outside the fields")]
    StrayText,
    /// A processing instruction, or a declaration that is not the first thing.
    #[error("the body has a processing instruction")]
    Instruction,
    /// A character that XML 1.0 does not allow.
    #[error("the body has a control character")]
    Character,
    /// More than 512 fields.
    #[error("the body has more than {FIELDS_MAX} fields")]
    TooMany,
    /// Not well-formed, or cut off.
    #[error("the body is not well-formed XML: {0}")]
    Syntax(String),
}

/// Names and texts in the order of the message, no name twice.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Fields(Vec<(String, String)>);

impl Fields {
    /// No fields.
    pub const fn new() -> Fields {
        Fields(Vec::new())
    }

    /// Reads a message whose root is `<xml>`.
    pub fn parse(bytes: &[u8]) -> Result<Fields, XmlError> {
        Fields::parse_rooted(bytes, "xml")
    }

    /// Reads a message with another root (the refund notice's plaintext has `<root>`).
    pub fn parse_rooted(bytes: &[u8], root: &str) -> Result<Fields, XmlError> {
        if bytes.len() > BODY_BYTES_MAX {
            return Err(XmlError::TooLarge);
        }
        let text = std::str::from_utf8(bytes).map_err(|_| XmlError::NotUtf8)?;
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        if text.trim_ascii().is_empty() {
            return Err(XmlError::Empty);
        }
        let mut reader = Reader::from_str(text);
        let mut reading = Reading { root, place: Place::Before, fields: Fields::new() };
        loop {
            match reader.read_event() {
                Ok(Event::Eof) => return reading.end(),
                Ok(event) => reading.take(event)?,
                Err(error) => return Err(XmlError::Syntax(short(&error.to_string()))),
            }
        }
    }

    /// The text of a field; an empty element is an empty text.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(n, _)| n == name).map(|(_, text)| text.as_str())
    }

    /// The text of a field unless it is absent or empty, which v2 treats alike.
    pub fn text(&self, name: &str) -> Option<&str> {
        self.get(name).filter(|text| !text.is_empty())
    }

    /// Sets a field, at its old place or at the end.
    pub fn set(&mut self, name: &str, text: impl Into<String>) {
        match self.0.iter_mut().find(|(n, _)| n == name) {
            Some(pair) => pair.1 = text.into(),
            None => self.0.push((name.to_owned(), text.into())),
        }
    }

    /// Sets a field if there is a text for it.
    pub fn set_some(&mut self, name: &str, text: Option<impl Into<String>>) {
        if let Some(text) = text {
            self.set(name, text);
        }
    }

    /// Names and texts in order.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(name, text)| (name.as_str(), text.as_str()))
    }

    /// Writes the message with the root `<xml>`, every text as CDATA, as production does.
    pub fn to_xml(&self) -> String {
        self.to_xml_rooted("xml")
    }

    /// Writes the message with another root.
    pub fn to_xml_rooted(&self, root: &str) -> String {
        let mut xml = format!("<{root}>");
        for (name, text) in self.iter() {
            xml.push_str(&format!("<{name}>"));
            push_cdata(&mut xml, text);
            xml.push_str(&format!("</{name}>"));
        }
        xml.push_str(&format!("</{root}>"));
        xml
    }
}

impl FromIterator<(String, String)> for Fields {
    fn from_iter<T: IntoIterator<Item = (String, String)>>(pairs: T) -> Fields {
        let mut fields = Fields::new();
        for (name, text) in pairs {
            fields.set(&name, text);
        }
        fields
    }
}

/// `]]>` would end the section early and a carriage return would be read as a line feed, so both
/// are written across two sections.
fn push_cdata(xml: &mut String, text: &str) {
    if !text.is_empty() {
        let safe = text.replace("]]>", "]]]]><![CDATA[>").replace('\r', "]]>&#13;<![CDATA[");
        xml.push_str("<![CDATA[");
        xml.push_str(&safe);
        xml.push_str("]]>");
    }
}

enum Place {
    Before,
    Inside,
    Field(String, String),
    After,
}

struct Reading<'a> {
    root: &'a str,
    place: Place,
    fields: Fields,
}

impl Reading<'_> {
    fn take(&mut self, event: Event<'_>) -> Result<(), XmlError> {
        match event {
            Event::Start(tag) => self.open(&tag),
            Event::Empty(tag) => {
                self.open(&tag)?;
                self.close();
                Ok(())
            }
            Event::End(_) => {
                self.close();
                Ok(())
            }
            Event::Text(text) => self.text(&text.xml10_content()),
            Event::CData(text) => self.cdata(&text.xml10_content()),
            Event::GeneralRef(name) => self.reference(&name),
            Event::Comment(_) => Ok(()),
            Event::Decl(declaration) => self.declaration(&declaration),
            Event::DocType(_) => Err(XmlError::Doctype),
            Event::PI(_) => Err(XmlError::Instruction),
            Event::Eof => Ok(()),
        }
    }

    fn open(&mut self, tag: &BytesStart<'_>) -> Result<(), XmlError> {
        let name = tag.name().as_ref().to_owned();
        // The reader takes whatever stands there. A name with `=` and `&` in it would make the
        // string that is signed one of another message.
        if !is_name(&name) {
            return Err(XmlError::Name(short(&name)));
        }
        if !tag.attributes_raw().trim_ascii().is_empty() {
            return Err(XmlError::Attribute(short(&name)));
        }
        let next = match &self.place {
            Place::Before if name == self.root => Place::Inside,
            Place::Before => return Err(XmlError::Root(short(&name))),
            Place::Inside if self.fields.get(&name).is_some() => {
                return Err(XmlError::Duplicate(short(&name)));
            }
            Place::Inside if self.fields.0.len() == FIELDS_MAX => return Err(XmlError::TooMany),
            Place::Inside => Place::Field(name, String::new()),
            Place::Field(outer, _) => return Err(XmlError::Depth(short(outer))),
            Place::After => return Err(XmlError::Trailing),
        };
        self.place = next;
        Ok(())
    }

    /// The reader has already checked that the end tag bears the right name.
    fn close(&mut self) {
        self.place = match std::mem::replace(&mut self.place, Place::After) {
            Place::Field(name, text) => {
                self.fields.0.push((name, text));
                Place::Inside
            }
            Place::Before | Place::Inside | Place::After => Place::After,
        };
    }

    fn text(&mut self, more: &str) -> Result<(), XmlError> {
        match &mut self.place {
            Place::Field(_, text) => push_allowed(text, more),
            _ if more.trim_ascii().is_empty() => Ok(()),
            Place::After => Err(XmlError::Trailing),
            Place::Before | Place::Inside => Err(XmlError::StrayText),
        }
    }

    fn cdata(&mut self, more: &str) -> Result<(), XmlError> {
        match &mut self.place {
            Place::Field(_, text) => push_allowed(text, more),
            Place::After => Err(XmlError::Trailing),
            Place::Before | Place::Inside => Err(XmlError::StrayText),
        }
    }

    fn reference(&mut self, name: &BytesRef<'_>) -> Result<(), XmlError> {
        let unknown = || XmlError::Entity(name.xml10_content().chars().take(40).collect());
        let character = match &*name.xml10_content() {
            "lt" => '<',
            "gt" => '>',
            "amp" => '&',
            "apos" => '\'',
            "quot" => '"',
            _ => name.resolve_char_ref().ok().flatten().ok_or_else(unknown)?,
        };
        match &mut self.place {
            Place::Field(_, text) => push_allowed(text, character.encode_utf8(&mut [0; 4])),
            Place::After => Err(XmlError::Trailing),
            Place::Before | Place::Inside => Err(XmlError::StrayText),
        }
    }

    fn declaration(&self, declaration: &BytesDecl<'_>) -> Result<(), XmlError> {
        if !matches!(self.place, Place::Before) {
            return Err(XmlError::Instruction);
        }
        match declaration.encoding() {
            None => Ok(()),
            Some(Ok(name)) if name.eq_ignore_ascii_case("utf-8") => Ok(()),
            Some(_) => Err(XmlError::NotUtf8),
        }
    }

    fn end(self) -> Result<Fields, XmlError> {
        match self.place {
            Place::After => Ok(self.fields),
            _ => Err(XmlError::Syntax("it ends too early".to_owned())),
        }
    }
}

/// The protocol's names are letters, digits and underscores; `$` stands in some of its documents.
fn is_name(name: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"_-.$".contains(&byte);
    !name.is_empty() && name.bytes().all(allowed)
}

/// What a stranger wrote is shown, but not all 64 KiB of it.
fn short(text: &str) -> String {
    text.chars().take(80).collect()
}

fn push_allowed(text: &mut String, more: &str) -> Result<(), XmlError> {
    let allowed = |c: char| match c {
        '\t' | '\n' | '\r' => true,
        '\u{fffe}' | '\u{ffff}' => false,
        _ => c >= ' ',
    };
    if !more.chars().all(allowed) {
        return Err(XmlError::Character);
    }
    text.push_str(more);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn check(xml: &str, expected: Result<&[(&str, &str)], XmlError>) {
        let wanted = expected.map(|pairs| {
            pairs.iter().map(|(n, t)| ((*n).to_owned(), (*t).to_owned())).collect::<Fields>()
        });
        assert_eq!(Fields::parse(xml.as_bytes()), wanted, "{xml}");
    }

    #[test]
    fn what_the_protocol_uses_is_read() {
        check("<xml></xml>", Ok(&[]));
        check("<xml/>", Ok(&[]));
        check("\u{feff}<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<xml/>\n", Ok(&[]));
        check("<xml><a>1</a><b><![CDATA[中 文]]></b></xml>", Ok(&[("a", "1"), ("b", "中 文")]));
        check("<xml>\n <a/> <!-- x --> <b></b>\n</xml>", Ok(&[("a", ""), ("b", "")]));
        check("<xml><a>&lt;&amp;&#x41;<![CDATA[&lt;]]></a></xml>", Ok(&[("a", "<&A&lt;")]));
        check("<xml><a> 1\r\n2 </a></xml>", Ok(&[("a", " 1\n2 ")]));
    }

    #[test]
    fn everything_else_is_refused_each_for_its_own_reason() {
        let named = |name: &str| name.to_owned();
        check("", Err(XmlError::Empty));
        check(" \n", Err(XmlError::Empty));
        check("<!DOCTYPE xml><xml/>", Err(XmlError::Doctype));
        check(
            "<!DOCTYPE x [<!ENTITY f SYSTEM \"file:///etc/passwd\">]><xml><a>&f;</a></xml>",
            Err(XmlError::Doctype),
        );
        check("<xml><a>&f;</a></xml>", Err(XmlError::Entity(named("f"))));
        check("<xml a=\"1\"/>", Err(XmlError::Attribute(named("xml"))));
        check("<xml><a b='1'>1</a></xml>", Err(XmlError::Attribute(named("a"))));
        check("<xml><a=1&b>1</a=1&b></xml>", Err(XmlError::Name(named("a=1&b"))));
        check("<xml><x:a>1</x:a></xml>", Err(XmlError::Name(named("x:a"))));
        check("<xml><a>1</a><a>2</a></xml>", Err(XmlError::Duplicate(named("a"))));
        check("<xml><a><b/></a></xml>", Err(XmlError::Depth(named("a"))));
        check("<root/>", Err(XmlError::Root(named("root"))));
        check("<xml/><xml/>", Err(XmlError::Trailing));
        check("<xml/>x", Err(XmlError::Trailing));
        check("<xml/>&amp;", Err(XmlError::Trailing));
        check("<xml>x<a/></xml>", Err(XmlError::StrayText));
        check("<xml><![CDATA[x]]></xml>", Err(XmlError::StrayText));
        check("<xml><?php ?></xml>", Err(XmlError::Instruction));
        check("<xml><a>\u{1}</a></xml>", Err(XmlError::Character));
        check("<?xml version=\"1.0\" encoding=\"GBK\"?><xml/>", Err(XmlError::NotUtf8));
    }

    #[test]
    fn broken_and_cut_messages_are_refused() {
        for xml in
            ["<xml", "<xml>", "<xml><a>1</a>", "<xml><a>1</b></xml>", "</xml>", "<xml>&</xml>"]
        {
            let error = Fields::parse(xml.as_bytes()).unwrap_err();
            assert!(matches!(error, XmlError::Syntax(_)), "{xml}: {error:?}");
        }
        assert_eq!(Fields::parse(b"<xml><a>\xff</a></xml>"), Err(XmlError::NotUtf8));
    }

    #[test]
    fn size_and_number_of_fields_are_bounded() {
        let long = |n: usize| format!("<xml><a>{}</a></xml>", "x".repeat(n));
        let frame = long(0).len();
        assert!(Fields::parse(long(BODY_BYTES_MAX - frame).as_bytes()).is_ok());
        let one_more = long(BODY_BYTES_MAX - frame + 1);
        assert_eq!(Fields::parse(one_more.as_bytes()), Err(XmlError::TooLarge));
        let many = |n: usize| (0..n).map(|i| (format!("f{i}"), String::new())).collect::<Fields>();
        assert!(Fields::parse(many(FIELDS_MAX).to_xml().as_bytes()).is_ok());
        let error = Fields::parse(many(FIELDS_MAX + 1).to_xml().as_bytes());
        assert_eq!(error, Err(XmlError::TooMany));
    }

    #[test]
    fn a_message_about_a_long_name_is_short() {
        let name = "n".repeat(60_000);
        for xml in [
            format!("<{name}/>"),
            format!("<xml><{name} a='1'/></xml>"),
            format!("<xml><{name}><b/></{name}></xml>"),
            format!("<xml><{name}></b></xml>"),
            format!("<xml><a>&{name};</a></xml>"),
        ] {
            let error = Fields::parse(xml.as_bytes()).unwrap_err();
            assert!(error.to_string().len() < 300, "{}", error.to_string().len());
        }
    }

    #[test]
    fn cdata_cannot_be_left() {
        let mut fields = Fields::new();
        fields.set("body", "a]]></body><total_fee>1</total_fee><body>");
        assert_eq!(Fields::parse(fields.to_xml().as_bytes()), Ok(fields));
    }

    proptest! {
        #[test]
        fn hostile_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = Fields::parse(&bytes);
        }

        #[test]
        fn hostile_markup_never_panics(
            parts in proptest::collection::vec(
                prop_oneof![
                    Just("<xml>"), Just("</xml>"), Just("<a>"), Just("</a>"), Just("<![CDATA["),
                    Just("]]>"), Just("&amp;"), Just("&#0;"), Just("&#xD800;"), Just("<!DOCTYPE"),
                    Just("<!--"), Just("-->"), Just("<?"), Just("?>"), Just("'"), Just(">"),
                ],
                0..30,
            )
        ) {
            let _ = Fields::parse(parts.concat().as_bytes());
        }

        #[test]
        fn parse_after_print_is_identity(
            pairs in proptest::collection::vec(
                (
                    "[a-z][a-z0-9_]{0,8}",
                    "([^\u{0}-\u{8}\u{b}\u{c}\u{e}-\u{1f}\u{fffe}\u{ffff}]|[\r\n<&]|\\]\\]>){0,20}",
                ),
                0..12,
            )
        ) {
            let fields: Fields = pairs.into_iter().collect();
            prop_assert_eq!(Fields::parse(fields.to_xml().as_bytes()), Ok(fields));
        }
    }
}
