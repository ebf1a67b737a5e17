//! The live view of `tandem demo`: what goes on in the product and in the simulated world, on one screen.
//!
//! What it shows comes from the product's `/metrics` and from the simulator's control endpoint, never from anywhere else: `sample`
//! asks both, `state` keeps what they answered, `draw` turns that into a frame and knows no terminal (so tests and the picture use
//! it as it is), `live` is the loop with keys.

mod draw;
mod keys;
mod live;
mod log;
mod prometheus;
mod sample;
mod state;
mod svg;
#[cfg(test)]
mod tests;

pub(crate) use live::live;
pub(crate) use sample::Sampler;
pub(crate) use state::LiveView;
pub(crate) use svg::picture;
