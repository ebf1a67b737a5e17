//! Who waits and why, and what every agent does: asked of the workspace itself, so that it is as it is now.

use api::{convert, v1};
use domain::{
    AgentId, QueueId,
    workspace::{WaitingCursor, WorkspaceAnswer, WorkspaceInput},
};
use tonic::Status;

use crate::{BusinessContext, fault::Fault, page, server::Shared, tokens::Principal};

const DEFAULT: usize = 50;

pub(crate) async fn waiting(
    shared: &Shared,
    principal: &Principal,
    business: &BusinessContext,
    request: v1::ListWaitingRequest,
) -> Result<v1::ListWaitingResponse, Status> {
    let wanted = request.queue_id.as_str();
    let queue = (!wanted.is_empty()).then(|| QueueId::from(wanted));
    if queue.as_ref().is_some_and(|queue| !business.queues.contains(queue)) {
        return Err(Fault::invalid("queue_id: the business has no such queue").into());
    }
    let after = page::waiting_cursor(&request.page_token)?;
    let question = WorkspaceInput::ListWaiting { queue, after, limit: limit(request.page_size) };
    let WorkspaceAnswer::Waiting { items, more } =
        ask(shared, principal, business, &question).await?
    else {
        return Err(Status::internal("the workspace gave another answer"));
    };
    let next_page_token = match items.last().filter(|_| more) {
        Some(last) => page::waiting_token(&WaitingCursor {
            queue: last.queue.clone(),
            since_ms: last.since_ms,
            item: last.item,
        }),
        None => String::new(),
    };
    let items = items.iter().map(convert::waiting_item).collect();
    Ok(v1::ListWaitingResponse { items, next_page_token })
}

pub(crate) async fn agents(
    shared: &Shared,
    principal: &Principal,
    business: &BusinessContext,
    request: v1::ListAgentsRequest,
) -> Result<v1::ListAgentsResponse, Status> {
    if !principal.may_overrule() {
        let text =
            "an agent's token does not see other agents: use a supervisor's or the business's";
        return Err(Fault::Forbidden(text).into());
    }
    let after = page::agents_cursor(&request.page_token)?;
    let question = WorkspaceInput::ListAgents { after, limit: limit(request.page_size) };
    let WorkspaceAnswer::Agents { agents, more } =
        ask(shared, principal, business, &question).await?
    else {
        return Err(Status::internal("the workspace gave another answer"));
    };
    let last: Option<&AgentId> = agents.last().filter(|_| more).map(|last| &last.agent);
    let next_page_token = last.map(page::agents_token).unwrap_or_default();
    let agents = agents.iter().map(convert::agent_state).collect();
    Ok(v1::ListAgentsResponse { agents, next_page_token })
}

fn limit(asked: u32) -> u32 {
    let max = usize::try_from(domain::workspace::PAGE_MAX).unwrap_or(DEFAULT);
    u32::try_from(page::size(asked, DEFAULT, max)).unwrap_or(1)
}

async fn ask(
    shared: &Shared,
    principal: &Principal,
    business: &BusinessContext,
    question: &WorkspaceInput,
) -> Result<WorkspaceAnswer, Status> {
    let key = bus::Key(shared.random()?);
    let commands = &shared.commands;
    let asked = commands.ask_workspace(&principal.business, business.workspace, key, question);
    Ok(asked.await?)
}
