//! `tongbao openapi`: the document that the gateway also serves at `/openapi.json`.

use crate::output::Screen;

/// Prints it.
pub(crate) fn run() -> anyhow::Result<()> {
    Screen::stdout().line(tongbao_api::document());
    Ok(())
}
