//! Sends whose outcome nobody knows.

use std::time::Duration;

use api::{
    convert::{self, ms},
    v1::{ListUnknownSendsRequest, ListUnknownSendsResponse, UnknownSend},
};
use archive::model::UnsettledSend;
use bus::{Cause, Header, Input, Key};
use domain::{BusinessId, Hash16, number::NumberInput, persist};
use tonic::Status;

use super::page_size;
use crate::{fault::Fault, server::Shared};

/// Looks at what still waits, and pauses between them: what was under way ends within half a minute.
const LOOKS: u32 = 60;
const PAUSE: Duration = Duration::from_millis(500);
/// Sends counted at most.
const COUNTED_MAX: usize = 100_000;

pub(super) async fn list(
    shared: &Shared,
    request: &ListUnknownSendsRequest,
    held: bool,
) -> Result<ListUnknownSendsResponse, Status> {
    let limit = page_size(request.page_size);
    let found = shared.commands.archive.unsettled_sends(false, limit + 1).await;
    let found = found.map_err(Fault::from)?;
    let more = found.len() > limit;
    let sends = found.iter().take(limit).map(unknown_send).collect();
    Ok(ListUnknownSendsResponse { sends, more, held })
}

fn unknown_send(send: &UnsettledSend) -> UnknownSend {
    UnknownSend {
        opaque_id: convert::opaque_id(send.request),
        business_id: send.business.0.clone(),
        timestamp_ms: ms(send.at_ms),
        kind: convert::kind(&send.kind),
        ended: send.unknown,
    }
}

/// Ends everything that waits as unknown, and answers how much that was.
pub(super) async fn give_up(shared: &Shared) -> Result<u64, Status> {
    let archive = &shared.commands.archive;
    let open = async || {
        let open = archive.unsettled_sends(true, COUNTED_MAX).await.map_err(Fault::from)?;
        Ok::<_, Status>(open.len())
    };
    let before = open().await?;
    for _ in 0..LOOKS {
        for (business, context) in &shared.context.businesses {
            for number in context.numbers.keys() {
                shared.commands.asker.tell(input(shared, business, *number)?).await.map_err(
                    |error| Status::unavailable(format!("{error}; nothing is sent; repeat")),
                )?;
            }
        }
        // The numbers tell the conversations, and those the read model.
        tokio::time::sleep(PAUSE).await;
        if open().await? == 0 {
            return Ok(u64::try_from(before).unwrap_or(u64::MAX));
        }
    }
    Err(Status::unavailable("some sends have not ended yet; nothing is sent; repeat"))
}

fn input(shared: &Shared, business: &BusinessId, number: Hash16) -> Result<Input, Status> {
    let body = persist::encode(&NumberInput::GiveUp)
        .map_err(|error| Status::internal(error.to_string()))?;
    Ok(Input {
        header: Header {
            key: Key(shared.random()?),
            business: bus::BusinessId(business.0.clone()),
            cause: Cause::Command,
            trace: None,
            received_ms: shared.commands.clock.wall_ms(),
        },
        target: bus::EntityId { kind: domain::EntityKind::Number.code(), hash: number.0 },
        body: body.into(),
        reply_to: None,
    })
}
