//! The projection as tables of events and rows; each test writes a log and reads the read model.

mod bucket;
mod duty;
mod marks;
mod moved;
mod plans;
mod postgres;
mod projection;
mod projector;
mod segments;
mod support;
mod tables;
mod thread;
mod turns;
