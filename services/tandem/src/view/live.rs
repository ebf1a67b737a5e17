//! The loop of the live view: samples, keys, and what keys do to the product and to the world.

use std::{path::PathBuf, pin::Pin, time::Duration};

use anyhow::Context as _;
use chassis::clock::Clock;
use crossterm::event::EventStream;
use futures::{StreamExt as _, future::OptionFuture};
use ratatui::DefaultTerminal;
use serde_json::json;

use super::{LiveView, Sampler, keys::Key, log::LogTail, sample::Sample, state::Level};
use crate::stage::{Control, Product, Stage};

/// Between two samples.
const SAMPLE_EVERY: Duration = Duration::from_millis(500);
const STORM_FACTOR: u32 = 10;
const STORM_SECONDS: u32 = 10;

/// How the view ended.
pub(crate) struct Ended {
    /// The product, running.
    pub(crate) product: Product,
    /// The last state shown.
    pub(crate) view: LiveView,
}

type Starting<'a> = Pin<Box<dyn Future<Output = anyhow::Result<Product>> + Send + 'a>>;

struct Live<'a> {
    stage: &'a Stage,
    control: &'a Control,
    clock: Clock,
    sampler: Sampler,
    log: LogTail,
    view: LiveView,
    last: Option<Sample>,
    begun_ms: u64,
    seconds: Option<u64>,
    product: Option<Product>,
    /// A product that was killed and comes back.
    starting: Option<Starting<'a>>,
    /// Share of failing Graph calls before the key was pressed.
    usual_5xx: f64,
}

/// Shows the view until a key or the time ends it. The terminal is given back as it was, whatever happens.
pub(crate) async fn live(
    stage: &Stage,
    product: Product,
    clock: &Clock,
    seconds: Option<u64>,
    log: PathBuf,
) -> anyhow::Result<Ended> {
    let control = &stage.simulator.control;
    let mut live = Live {
        stage,
        control,
        clock: clock.clone(),
        sampler: Sampler::new(clock, control)?,
        log: LogTail::new(log),
        view: LiveView::default(),
        last: None,
        begun_ms: clock.boot_ms(),
        seconds,
        product: Some(product),
        starting: None,
        usual_5xx: 0.0,
    };
    live.view
        .note(Level::Info, "customers write, agents answer; the keys below change what happens");
    let mut terminal = ratatui::try_init().context("the terminal cannot show the view")?;
    let result = live.run(&mut terminal).await;
    ratatui::try_restore().context("the terminal cannot be given back")?;
    result?;
    live.end().await
}

impl Live<'_> {
    async fn run(&mut self, terminal: &mut DefaultTerminal) -> anyhow::Result<()> {
        let mut keys = EventStream::new();
        let mut due = tokio::time::interval(SAMPLE_EVERY);
        due.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            terminal.draw(|frame| frame.render_widget(&self.view, frame.area()))?;
            let starting: OptionFuture<_> = self.starting.as_mut().into();
            tokio::select! {
                _ = due.tick() => self.sample().await?,
                Some(started) = starting => self.started(started).await?,
                event = keys.next() => {
                    let event = event.context("the terminal is gone")?.context("no keys can be read")?;
                    if self.press(Key::of(&event)).await? {
                        return Ok(());
                    }
                }
            }
            if self.view.left_ms == Some(0) {
                return Ok(());
            }
        }
    }

    async fn sample(&mut self) -> anyhow::Result<()> {
        let elapsed_ms = self.clock.boot_ms().saturating_sub(self.begun_ms);
        self.view.elapsed_ms = elapsed_ms;
        self.view.left_ms = self.seconds.map(|seconds| (seconds * 1000).saturating_sub(elapsed_ms));
        if self.product.as_mut().is_some_and(|product| product.has_ended()) {
            self.product = None;
            self.view.note(Level::Error, "the product ended by itself; k starts it again");
        }
        let admin = self.product.as_ref().map(|product| product.addresses.admin);
        let sample = self.sampler.take(admin).await?;
        if self.last.is_none() {
            self.usual_5xx = sample.http_5xx();
        }
        self.view.product_runs(self.product.as_ref().and_then(|product| product.id()));
        self.view.show(&sample, self.last.as_ref());
        self.last = Some(sample);
        for (level, text) in self.log.news() {
            self.view.note(level, &format!("product: {text}"));
        }
        Ok(())
    }

    /// Does what a key asks for. Answers whether to end.
    async fn press(&mut self, key: Option<Key>) -> anyhow::Result<bool> {
        match key {
            None | Some(Key::Redraw) => return Ok(false),
            Some(Key::Quit) => return Ok(true),
            Some(Key::Pause) => self.pause().await?,
            Some(Key::Storm) => {
                self.control.storm(STORM_FACTOR, STORM_SECONDS).await?;
                let text =
                    format!("customers write {STORM_FACTOR} times more for {STORM_SECONDS} s");
                self.view.note(Level::Info, &text);
            }
            Some(Key::Kill) => self.kill().await?,
            Some(Key::FailGraph) => self.fail_graph().await?,
            Some(Key::ForgetPhone) => {
                let silent = !self.view.world.phones_silent;
                self.control.phones(silent).await?;
                let text =
                    if silent { "nobody looks at the phones" } else { "phones are answered again" };
                self.view.note(Level::Info, text);
            }
        }
        self.sample().await?;
        Ok(false)
    }

    async fn pause(&mut self) -> anyhow::Result<()> {
        if self.view.world.talking {
            self.control.pause().await?;
            self.view.note(Level::Info, "customers stop beginning to write");
        } else {
            self.control.resume().await?;
            self.view.note(Level::Info, "customers go on");
        }
        Ok(())
    }

    async fn kill(&mut self) -> anyhow::Result<()> {
        if self.starting.is_some() {
            return Ok(());
        }
        if let Some(mut product) = self.product.take() {
            product.kill().await?;
            self.view.product.restarts += 1;
            self.view.note(Level::Warn, "kill -9; starting the product on the same directory");
        }
        let stage = self.stage;
        self.starting = Some(Box::pin(stage.start_product(&[])));
        Ok(())
    }

    async fn started(&mut self, started: anyhow::Result<Product>) -> anyhow::Result<()> {
        self.starting = None;
        let product = started?;
        self.control.product(&product.addresses).await?;
        self.product = Some(product);
        self.view.note(Level::Info, "the product is ready again");
        self.sample().await
    }

    async fn fail_graph(&mut self) -> anyhow::Result<()> {
        let fails = self.view.world.graph_fails;
        let share = if fails { self.usual_5xx } else { 1.0 };
        self.control.knobs(json!({"http_5xx": share})).await?;
        let text =
            if fails { "the Graph API answers again" } else { "every Graph call ends in a 503" };
        self.view.note(Level::Warn, text);
        Ok(())
    }

    /// Puts the world right again, so that it can come to rest.
    async fn end(mut self) -> anyhow::Result<Ended> {
        if self.view.world.graph_fails {
            self.control.knobs(json!({"http_5xx": self.usual_5xx})).await?;
        }
        if self.product.is_none() {
            let product = match self.starting.take() {
                Some(starting) => starting.await?,
                None => self.stage.start_product(&[]).await?,
            };
            self.control.product(&product.addresses).await?;
            self.product = Some(product);
        }
        let product = self.product.context("the product is gone")?;
        Ok(Ended { product, view: self.view })
    }
}
