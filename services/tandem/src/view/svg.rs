//! A frame as a picture: the cells of the buffer as SVG text, nothing drawn that was not in the frame.

use std::fmt::Write as _;

use ratatui::{
    buffer::{Buffer, Cell},
    layout::Rect,
    style::{Color, Modifier},
    widgets::Widget as _,
};

use super::LiveView;

/// Size of one cell, in the units of the picture.
const CELL: (u32, u32) = (8, 17);
const MARGIN: u32 = 12;
const BASELINE: u32 = 13;
const GROUND: &str = "#16181d";
const INK: &str = "#d6d9e0";

/// The view as it is drawn on a terminal of this size.
pub(crate) fn picture(view: &LiveView, columns: u16, rows: u16) -> String {
    let area = Rect::new(0, 0, columns, rows);
    let mut buffer = Buffer::empty(area);
    view.render(area, &mut buffer);
    svg(&buffer)
}

fn svg(buffer: &Buffer) -> String {
    let (columns, rows) = (u32::from(buffer.area.width), u32::from(buffer.area.height));
    let (width, height) = (columns * CELL.0 + 2 * MARGIN, rows * CELL.1 + 2 * MARGIN);
    let mut out = String::new();
    // Writing to a String cannot fail.
    let _ = writeln!(
        out,
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width} {height}\" \
         font-family=\"ui-monospace, 'DejaVu Sans Mono', Menlo, Consolas, monospace\" font-size=\"13\">\n\
         <rect width=\"{width}\" height=\"{height}\" rx=\"8\" fill=\"{GROUND}\"/>"
    );
    for row in 0..buffer.area.height {
        let cells: Vec<&Cell> =
            (0..buffer.area.width).filter_map(|x| buffer.cell((x, row))).collect();
        let y = MARGIN + u32::from(row) * CELL.1 + BASELINE;
        let mut column = 0;
        // Neighbours of one style make one text, stretched to the cells it has.
        for run in cells.chunk_by(|a, b| (a.fg, a.modifier) == (b.fg, b.modifier)) {
            text(&mut out, run, MARGIN + column * CELL.0, y);
            column += u32::try_from(run.len()).unwrap_or(0);
        }
    }
    out.push_str("</svg>\n");
    out
}

fn text(out: &mut String, run: &[&Cell], x: u32, y: u32) {
    let symbols: String = run.iter().map(|cell| cell.symbol()).collect();
    let (Some(first), false) = (run.first(), symbols.trim().is_empty()) else { return };
    let width = u32::try_from(run.len()).unwrap_or(0) * CELL.0;
    let weight = if first.modifier.contains(Modifier::BOLD) { " font-weight=\"bold\"" } else { "" };
    let _ = writeln!(
        out,
        "<text x=\"{x}\" y=\"{y}\" textLength=\"{width}\" xml:space=\"preserve\" fill=\"{}\"{weight}>{}</text>",
        colour(first.fg),
        escaped(&symbols)
    );
}

fn colour(colour: Color) -> &'static str {
    match colour {
        Color::DarkGray => "#767c8a",
        Color::Green => "#7fc98b",
        Color::Yellow => "#e0b860",
        Color::Red => "#ee6a6a",
        _ => INK,
    }
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}
