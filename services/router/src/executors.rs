//! All executors of a process: a call goes to the one it is for.

use async_trait::async_trait;
use domain::persist;
use runtime::{
    bus::PartitionId,
    host::{CallRequest, CallResult, Door, Executor},
};

use crate::{bot::BotExecutor, bridge::Outside, send::SendExecutor};

/// The executors.
#[derive(Debug)]
pub struct Executors {
    /// Sends messages.
    pub send: SendExecutor,
    /// Asks external bots.
    pub bot: BotExecutor,
}

#[async_trait]
impl Executor for Executors {
    fn taken(&self, partition: PartitionId) {
        self.send.taken(partition);
    }

    async fn call(&self, request: CallRequest, door: Door) -> CallResult {
        let business = request.business.0.as_str();
        match persist::decode(&request.body) {
            Ok(Outside::Send(call)) => self.send.carry_out(business, &call, door).await,
            Ok(Outside::Bot(call)) => self.bot.carry_out(business, &call, &door).await,
            Err(error) => CallResult::NotStarted(error.to_string()),
        }
    }
}
