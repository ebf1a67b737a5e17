//! Frames as text, held against files.

use ratatui::{buffer::Buffer, text::Span};

/// What a terminal would show; a wide letter covers the cell after it.
pub(crate) fn text(buffer: &Buffer) -> String {
    let row = |y| {
        let (mut row, mut covered) = (String::new(), 0);
        for x in 0..buffer.area.width {
            let symbol = buffer.cell((x, y)).unwrap().symbol();
            if covered > 0 {
                covered -= 1;
                continue;
            }
            row.push_str(symbol);
            covered = Span::raw(symbol).width().saturating_sub(1);
        }
        row.trim_end().to_owned()
    };
    (0..buffer.area.height).map(|y| row(y) + "\n").collect()
}

/// Compares with a file below `src`; `TANDEM_BLESS=1` writes it anew, to be read before it is committed.
pub(crate) fn assert_frame(folder: &str, name: &str, frame: &str) {
    let path = format!("{}/src/{folder}/{name}.txt", env!("CARGO_MANIFEST_DIR"));
    if std::env::var_os("TANDEM_BLESS").is_some() {
        std::fs::write(&path, frame).unwrap();
    }
    let kept = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(kept == frame, "{name} differs from its file; the frame is now:\n{frame}");
}
