//! A database server's address before the driver sees it. A password with a `?` in it makes the
//! rest of it an option, and the driver would log an option that it does not know, or repeat its
//! value; so everything that is not known is refused here, in words that show nothing of it.

use crate::OpenError;
use url::Url;

/// What the driver knows, see `PgConnectOptions`.
pub(crate) const POSTGRES_OPTIONS: &[&str] = &[
    "sslmode",
    "ssl-mode",
    "sslrootcert",
    "ssl-root-cert",
    "ssl-ca",
    "sslcert",
    "ssl-cert",
    "sslkey",
    "ssl-key",
    "statement-cache-capacity",
    "host",
    "hostaddr",
    "port",
    "dbname",
    "user",
    "password",
    "application_name",
    "options",
];

/// What the driver knows, see `MySqlConnectOptions`.
pub(crate) const MYSQL_OPTIONS: &[&str] = &[
    "sslmode",
    "ssl-mode",
    "sslca",
    "ssl-ca",
    "charset",
    "collation",
    "sslcert",
    "ssl-cert",
    "sslkey",
    "ssl-key",
    "statement-cache-capacity",
    "socket",
    "timezone",
    "time-zone",
];

/// Refuses what the driver would pass over or repeat.
pub(crate) fn check(url: &str, options: &[&str]) -> Result<(), OpenError> {
    let url = Url::parse(url).map_err(|cause| OpenError::UrlForm(cause.to_string()))?;
    if url.query_pairs().any(|(name, _)| !options.contains(&&*name)) {
        let known = options.join(", ");
        return Err(OpenError::UrlForm(format!(
            "after the ? stands an option that is not known; known are {known}. In a password \
             write ? as %3F, # as %23, / as %2F and @ as %40"
        )));
    }
    Ok(())
}

/// The driver's own words may repeat a value, so they are not passed on.
pub(crate) fn refused(_: sqlx::Error) -> OpenError {
    let cause = "the value of an option after the ?, or the host, is not one that the driver takes";
    OpenError::UrlForm(cause.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_refused_is_not_repeated() {
        let wrong = [
            "postgres://tongbao:12?secret@127.0.0.1:1/x",
            "postgres://tongbao:secret@127.0.0.1:port/x",
            "postgres://tongbao:x@127.0.0.1/x?secret=secret",
            "postgres://tongbao:se#cret@127.0.0.1/x?secret=secret",
            "secret",
        ];
        for url in wrong {
            let error = check(url, POSTGRES_OPTIONS).unwrap_err().to_string();
            assert!(!error.contains("cret"), "{error}");
        }
        assert!(check("postgres://u:p@h/x?sslmode=require", POSTGRES_OPTIONS).is_ok());
        assert!(check("mysql://u:p@h/x?ssl-mode=REQUIRED", MYSQL_OPTIONS).is_ok());
    }

    /// Every name of the lists is one that the driver does something with.
    #[test]
    fn the_driver_takes_what_is_known() {
        for name in ["sslmode=require", "port=1", "options=-c%20x%3D1", "application_name=x"] {
            let url = format!("postgres://u:p@h/x?{name}");
            assert!(check(&url, POSTGRES_OPTIONS).is_ok());
            assert!(url.parse::<sqlx::postgres::PgConnectOptions>().is_ok(), "{url}");
        }
    }
}
