//! One log line per panic, without what the panic was about: a formatted panic text may hold
//! personal data, so only literal texts and places are written.

use std::any::Any;
use std::cell::{Cell, RefCell};
use std::panic::PanicHookInfo;

thread_local! {
    /// True while a watched task is polled on this thread: its wrapper will log.
    static WATCHED: Cell<bool> = const { Cell::new(false) };
    /// The place of the last panic on this thread, for the wrapper.
    static PLACE: RefCell<Option<String>> = const { RefCell::new(None) };
}

/// Marks this thread as polling a watched task until dropped.
pub(super) struct Watched {
    before: bool,
}

impl Watched {
    pub(super) fn enter() -> Self {
        Self { before: WATCHED.replace(true) }
    }
}

impl Drop for Watched {
    fn drop(&mut self) {
        WATCHED.set(self.before);
    }
}

/// Replaces the standard panic output by one structured log line. Panics in watched tasks are left
/// to [`super::spawn`]'s wrapper; those elsewhere (actors, threads) are logged here. Called by
/// telemetry's start; tests keep the standard output.
pub fn install_panic_hook() {
    std::panic::set_hook(Box::new(|info: &PanicHookInfo<'_>| {
        let place = info.location().map(ToString::to_string);
        if WATCHED.get() {
            PLACE.set(place);
            return;
        }
        let place = place.unwrap_or_default();
        tracing::error!(panic = %text(info.payload()), place, "panic outside a watched task");
    }));
}

/// Text and, where the hook has seen it, place of a caught panic.
pub(super) fn describe(payload: &(dyn Any + Send)) -> String {
    match PLACE.take() {
        Some(place) => format!("{} at {place}", text(payload)),
        None => text(payload).to_owned(),
    }
}

fn text(payload: &dyn Any) -> &'static str {
    payload.downcast_ref::<&'static str>().copied().unwrap_or("(formatted text withheld)")
}
