//! The projection as tables of events and rows; each test writes a log and reads the read model.

mod marks;
mod projection;
mod projector;
mod segments;
mod support;
mod thread;
