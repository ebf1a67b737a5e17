//! Frames at two sizes, from answers as the product and the simulator give them.

use crossterm::event::{Event, KeyCode, KeyEvent, KeyModifiers};
use ratatui::{Terminal, backend::TestBackend};
use serde_json::{Value, json};

use super::{
    keys::Key,
    picture,
    sample::Sample,
    state::{Level, LiveView},
};
use crate::frames::{assert_frame, text};

const METRICS: &str = "\
# TYPE tandem_router_items gauge
tandem_router_items{business=\"acme\",queue=\"billing\",place=\"waiting\"} 12
tandem_router_items{business=\"acme\",queue=\"billing\",place=\"offered\"} 3
tandem_router_items{business=\"acme\",queue=\"billing\",place=\"assigned\"} 41
tandem_router_items{business=\"acme\",queue=\"sales\",place=\"waiting\"} 0
tandem_router_waiting_since_timestamp_seconds{business=\"acme\",queue=\"billing\"} 999993
tandem_router_waiting_since_timestamp_seconds{business=\"acme\",queue=\"sales\"} 0
tandem_router_departures_total{number=\"200000000000202\"} 77
tandem_runtime_epoch{partition=\"0\",node=\"node-1\"} 3
tandem_runtime_epoch{partition=\"1\",node=\"node-1\"} 4
tandem_runtime_epoch{partition=\"2\",node=\"node-1\"} 0
tandem_runtime_in_flight{partition=\"1\"} 9
tandem_archive_lag_ms{partition=\"1\"} 17
";

fn report(inbound: u64) -> Value {
    json!({
        "inbound": inbound, "acked": 1190, "bot_answered": 340, "offers": 338, "accepted": 320,
        "desk_replies": 900, "phone_echoes": 21, "delivered": 1150,
        "lost": 0, "duplicated": 2, "violations": 0, "repeated_unknown": 1,
        "webhook_ms_p50": 3.4, "webhook_ms_p99": 18.25, "offer_ms_p50": null,
        "numbers": [
            {"phone_number_id": "200000000000202", "mode": "coexistence", "rate_per_s": 20, "last_second": 17, "peak": 20},
            {"phone_number_id": "200000000000203", "mode": "api", "rate_per_s": 80, "last_second": 0, "peak": 63},
        ],
        "world": {"talking": true, "storm_factor": 10.0, "storm_left_ms": 6400, "phones_silent": true, "http_5xx": 1.0},
    })
}

/// A run of a minute with a storm on.
fn stormy() -> LiveView {
    let mut view = LiveView { elapsed_ms: 64_000, left_ms: Some(56_000), ..LiveView::default() };
    view.product_runs(Some(4711));
    view.product.restarts = 1;
    let before = Sample::of(10_000, 999_998_000, report(1_000), Some(METRICS));
    view.show(&Sample::of(12_000, 1_000_000_000, report(1_200), Some(METRICS)), Some(&before));
    view.note(Level::Info, "customers write 10 times more for 10 s");
    view.note(Level::Error, "product: the disk is\u{1b}[31m full");
    view
}

fn frame(view: &LiveView, columns: u16, rows: u16) -> String {
    let mut terminal = Terminal::new(TestBackend::new(columns, rows)).unwrap();
    terminal.draw(|frame| frame.render_widget(view, frame.area())).unwrap();
    text(terminal.backend().buffer())
}

#[test]
fn a_storm_at_80_by_24() {
    assert_frame("view/tests", "storm_80x24", &frame(&stormy(), 80, 24));
}

#[test]
fn a_storm_at_120_by_40() {
    assert_frame("view/tests", "storm_120x40", &frame(&stormy(), 120, 40));
}

#[test]
fn a_product_that_is_down_shows_nothing_of_before() {
    let mut view = stormy();
    let down = Sample::of(13_000, 1_000_001_000, report(1_300), None);
    view.show(&down, None);
    view.product_runs(None);
    assert_frame("view/tests", "down_80x24", &frame(&view, 80, 24));
}

#[test]
fn what_does_not_fit_is_counted_and_a_tiny_terminal_is_told() {
    let metrics: String = (0..30)
        .map(|n| {
            format!(
                "tandem_router_items{{business=\"b\",queue=\"q{n:02}\",place=\"waiting\"}} {n}\n"
            )
        })
        .collect();
    let mut view = stormy();
    view.show(&Sample::of(13_000, 0, report(1), Some(&metrics)), None);
    let full = frame(&view, 80, 24);
    assert!(full.contains("b q00") && full.contains("and 28 more"), "{full}");
    assert!(frame(&view, 40, 10).contains("at least 60 x 16"));
    // Nothing at all known yet: still a frame.
    assert!(frame(&LiveView::default(), 80, 24).contains("product down"));
}

#[test]
fn a_picture_holds_the_words_of_the_frame_and_is_escaped() {
    let mut view = stormy();
    view.note(Level::Warn, "a < b & c");
    let svg = picture(&view, 100, 30);
    for words in ["waiting by queue", "STORM x10", "a &lt; b &amp; c", "</svg>"] {
        assert!(svg.contains(words), "{words}");
    }
    assert_eq!(svg.matches("<text").count(), svg.matches("</text>").count());
}

#[test]
fn keys_ask_for_what_the_bottom_line_says() {
    let key = |code, modifiers| Key::of(&Event::Key(KeyEvent::new(code, modifiers)));
    let plain = |c| key(KeyCode::Char(c), KeyModifiers::NONE);
    let all = [Key::Pause, Key::Storm, Key::Kill, Key::FailGraph, Key::ForgetPhone, Key::Quit];
    for (c, wanted) in ['p', 's', 'k', 'g', 'f', 'q'].into_iter().zip(all) {
        assert_eq!(plain(c), Some(wanted));
        assert!(super::keys::HELP.contains(&format!(" {c} ")));
    }
    assert_eq!(key(KeyCode::Char('c'), KeyModifiers::CONTROL), Some(Key::Quit));
    assert_eq!((plain('x'), key(KeyCode::Char('k'), KeyModifiers::CONTROL)), (None, None));
}
