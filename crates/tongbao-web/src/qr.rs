//! Draws a text as a QR code, as SVG and as PNG.

use qrcode::render::svg;
use qrcode::{Color, EcLevel, QrCode};

/// White space around the code, in modules, as the standard wants it.
const QUIET: usize = 4;
/// Pixels for each module of a PNG.
const MODULE: usize = 8;

/// An SVG document; `None` if the text is longer than a code can hold.
pub fn svg(text: &str) -> Option<String> {
    let code = code(text)?;
    let white = svg::Color("#ffffff");
    let mut drawing = code.render::<svg::Color<'_>>();
    Some(drawing.min_dimensions(256, 256).light_color(white).build())
}

/// The `<svg>` element alone, to stand inside a page.
pub fn inline_svg(text: &str) -> Option<String> {
    let document = svg(text)?;
    let element = document.find("<svg").map(|start| document[start..].to_owned());
    element.map(|svg| svg.replacen("<svg ", "<svg aria-hidden=\"true\" focusable=\"false\" ", 1))
}

/// A PNG in black and white; `None` if the text is longer than a code can hold.
pub fn png(text: &str) -> Option<Vec<u8>> {
    let code = code(text)?;
    let modules = code.to_colors();
    let width = code.width();
    let side = (width + 2 * QUIET) * MODULE;
    let is_dark = |x: usize, y: usize| {
        let (x, y) = ((x / MODULE).checked_sub(QUIET)?, (y / MODULE).checked_sub(QUIET)?);
        (x < width && y < width).then(|| modules[y * width + x] == Color::Dark)
    };
    let mut pixels = Vec::with_capacity(side * side.div_ceil(8));
    for y in 0..side {
        for start in (0..side).step_by(8) {
            let bit = |x: usize| u8::from(x >= side || !is_dark(x, y).unwrap_or(false));
            pixels.push((start..start + 8).fold(0, |byte, x| byte << 1 | bit(x)));
        }
    }
    Some(encode(u32::try_from(side).ok()?, &pixels))
}

fn code(text: &str) -> Option<QrCode> {
    QrCode::with_error_correction_level(text, EcLevel::M).ok()
}

fn encode(side: u32, pixels: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut encoder = png::Encoder::new(&mut bytes, side, side);
    encoder.set_color(png::ColorType::Grayscale);
    encoder.set_depth(png::BitDepth::One);
    let mut writer = encoder.write_header().expect("writing to memory does not fail");
    writer.write_image_data(pixels).expect("there are as many pixels as announced");
    writer.finish().expect("writing to memory does not fail");
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    const CODE_URL: &str = "weixin://wxpay/bizpayurl?pr=p4lpSuKzz";

    fn scan(side: usize, is_dark: impl Fn(usize, usize) -> bool) -> String {
        let grey = |x, y| if is_dark(x, y) { 0 } else { 255 };
        let mut image = rqrr::PreparedImage::prepare_from_greyscale(side, side, grey);
        let grids = image.detect_grids();
        assert_eq!(grids.len(), 1);
        grids[0].decode().unwrap().1
    }

    #[test]
    fn a_scanner_reads_the_png_back() {
        let bytes = png(CODE_URL).unwrap();
        let mut decoder = png::Decoder::new(std::io::Cursor::new(bytes));
        decoder.set_transformations(png::Transformations::EXPAND);
        let mut reader = decoder.read_info().unwrap();
        let mut pixels = vec![0; reader.output_buffer_size().unwrap()];
        let info = reader.next_frame(&mut pixels).unwrap();
        let side = info.width as usize;
        assert_eq!(scan(side, |x, y| pixels[y * info.line_size + x] < 128), CODE_URL);
    }

    #[test]
    fn the_svg_has_the_modules_of_the_code_and_no_styles() {
        let document = svg(CODE_URL).unwrap();
        assert!(document.starts_with("<?xml"));
        let element = inline_svg(CODE_URL).unwrap();
        assert!(element.starts_with("<svg aria-hidden=\"true\""), "{element}");
        assert!(!element.contains("style="));
        insta::assert_snapshot!(element);
    }

    #[test]
    fn what_no_code_can_hold_is_refused() {
        assert!(svg(&"x".repeat(4000)).is_none());
        assert!(png(&"x".repeat(4000)).is_none());
    }
}
