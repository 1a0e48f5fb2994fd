//! `multipart/form-data`, as Alipay's own cURL samples send requests. Files are passed over: they
//! take no part in the signature, and no operation here has one.

use crate::params::RawPair;

/// Name and value of each part that is not a file; `None` if the body is not what the content type
/// says.
pub(crate) fn fields(content_type: &str, body: &[u8]) -> Option<Vec<RawPair>> {
    let delimiter = format!("--{}", boundary(content_type)?);
    let mut rest = after(body, delimiter.as_bytes())?;
    let mut found = Vec::new();
    let inner = format!("\r\n{delimiter}");
    while !rest.starts_with(b"--") {
        let part = rest.strip_prefix(b"\r\n")?;
        let end = find(part, inner.as_bytes())?;
        found.extend(field(&part[..end])?);
        rest = &part[end + inner.len()..];
    }
    Some(found)
}

fn boundary(content_type: &str) -> Option<&str> {
    let mut pieces = content_type.split(';').map(str::trim);
    if !pieces.next()?.eq_ignore_ascii_case("multipart/form-data") {
        return None;
    }
    let value = pieces.find_map(|piece| {
        let (name, value) = piece.split_once('=')?;
        name.eq_ignore_ascii_case("boundary").then_some(value)
    })?;
    let value = value.trim_matches('"');
    (1..=70).contains(&value.len()).then_some(value)
}

/// `Some(None)` for a file.
fn field(part: &[u8]) -> Option<Option<RawPair>> {
    let end = find(part, b"\r\n\r\n")?;
    let head = std::str::from_utf8(&part[..end]).ok()?;
    let disposition = head.split("\r\n").find_map(|line| {
        let (name, value) = line.split_once(':')?;
        name.eq_ignore_ascii_case("content-disposition").then_some(value)
    })?;
    if attribute(disposition, "filename").is_some() {
        return Some(None);
    }
    let name = attribute(disposition, "name")?;
    Some(Some((name.as_bytes().to_vec(), part[end + 4..].to_vec())))
}

fn attribute<'a>(disposition: &'a str, wanted: &str) -> Option<&'a str> {
    disposition.split(';').find_map(|piece| {
        let (name, value) = piece.trim().split_once('=')?;
        name.eq_ignore_ascii_case(wanted).then(|| value.trim_matches('"'))
    })
}

fn after<'a>(bytes: &'a [u8], needle: &[u8]) -> Option<&'a [u8]> {
    find(bytes, needle).map(|at| &bytes[at + needle.len()..])
}

fn find(bytes: &[u8], needle: &[u8]) -> Option<usize> {
    bytes.windows(needle.len()).position(|window| window == needle)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const TYPE: &str = "multipart/form-data; boundary=\"x-1\"";

    #[test]
    fn fields_are_read_and_files_passed_over() {
        let body = b"--x-1\r\nContent-Disposition: form-data; name=\"a\"\r\n\r\n1\r\n2\r\n\
            --x-1\r\ncontent-disposition: form-data; name=\"f\"; filename=\"f.png\"\r\n\
            Content-Type: image/png\r\n\r\nPNG\r\n\
            --x-1\r\nContent-Disposition: form-data; name=b\r\n\r\n\r\n--x-1--\r\n";
        let wanted = vec![(b"a".to_vec(), b"1\r\n2".to_vec()), (b"b".to_vec(), vec![])];
        assert_eq!(fields(TYPE, body), Some(wanted));
    }

    #[test]
    fn other_bodies_are_refused() {
        assert_eq!(fields("application/x-www-form-urlencoded", b"a=1"), None);
        assert_eq!(fields("multipart/form-data", b"--\r\n"), None);
        assert_eq!(fields(TYPE, b"a=1"), None);
        assert_eq!(fields(TYPE, b"--x-1\r\nContent-Disposition: form-data; name=a\r\n\r\n1"), None);
    }

    proptest! {
        #[test]
        fn hostile_bodies_never_panic(
            text in "(--x-1|\r\n|--|name=a|;|Content-Disposition:|.){0,30}",
        ) {
            let _ = fields(TYPE, text.as_bytes());
        }
    }
}
