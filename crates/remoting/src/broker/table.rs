//! One table from request code to handler, for all that is not a send or a pull.
//!
//! What clients need goes first and waits for nothing else. Administration has a lane of its own, see
//! [`Broker::admin_turn`], and what may take long runs where it holds up no connection.

use super::{answer, client, cold, config, group, offset, query, respond, runtime, timer, topic, unsupported};
use crate::reply::Reply;
use crate::server::{Connection, Work};
use ::broker::{AdminTurn, Broker};
use std::sync::Arc;
use wire::remoting::frame::{OwnedFrame, RawFrame};
use wire::remoting::header::Header;
use wire::remoting::{RequestCode as Code, ResponseCode};

/// What a handler works with.
#[derive(Clone)]
pub(super) struct Request {
    pub(super) broker: Arc<Broker>,
    pub(super) connection: Arc<Connection>,
    frame: OwnedFrame,
}

impl Request {
    pub(super) fn body(&self) -> &[u8] {
        self.frame.get().body
    }
}

/// A reply, or the reply that says what is wrong.
pub(super) type Outcome = Result<Reply, Reply>;

pub(super) fn dispatch(
    broker: &Arc<Broker>,
    connection: &Arc<Connection>,
    frame: &RawFrame<'_>,
    header: &Header<'_>,
    work: &mut Work,
) {
    if header.request_code() == Code::UPDATE_CONSUMER_OFFSET && header.is_one_way() {
        // Commits come with every batch that is consumed; nobody waits for this one.
        return offset::commit_one_way(broker, connection, header);
    }
    let bytes = frame.header.len() + frame.body.len();
    let request = Request { broker: Arc::clone(broker), connection: Arc::clone(connection), frame: frame.to_owned() };
    work.push(
        bytes,
        Box::pin(async move {
            // The header is decoded again rather than copied: what comes here is rare.
            let frame = request.frame.get();
            let Ok(header) = Header::parse(&frame) else { return };
            let reply = handle(&request, &header).await.unwrap_or_else(|refusal| {
            let (peer, code) = (request.connection.peer(), header.request_code());
            tracing::debug!(%peer, %code, answer = %refusal.code, remark = refusal.remark.as_deref(), "a request is refused");
            refusal
        });
            answer(&request.connection, &frame, &header, &reply);
        }),
    );
}

/// What looks something up for an operator: it may be long at it, and wait for the disk.
type Look = fn(&Request, &Header<'_>) -> Outcome;

async fn handle(request: &Request, header: &Header<'_>) -> Outcome {
    let code = header.request_code();
    if let Some(outcome) = of_clients(request, header).await {
        return outcome;
    }
    if let Some(look) = look(code) {
        let turn = request.broker.admin_turn().await?;
        return off_the_way(request, look, turn).await;
    }
    if !is_change(code) {
        return Ok(unsupported(header));
    }
    let _turn = request.broker.admin_turn().await?;
    change(request, header).await
}

/// Runs on a thread of its own, so that it holds up no connection. It has its turn to its end, though whoever asked may
/// have gone.
async fn off_the_way(request: &Request, look: Look, turn: AdminTurn) -> Outcome {
    let owned = request.clone();
    let run = move || match Header::parse(&owned.frame.get()) {
        Ok(header) => look(&owned, &header),
        Err(error) => Err(Reply::error(ResponseCode::SYSTEM_ERROR, error)),
    };
    let run = move || {
        let outcome = run();
        drop(turn);
        outcome
    };
    request.broker.host().run_blocking(run).await
}

/// What clients need to go on: it waits for no other request.
async fn of_clients(request: &Request, header: &Header<'_>) -> Option<Outcome> {
    Some(match header.request_code() {
        Code::HEART_BEAT => client::heartbeat(request, header).await,
        Code::UNREGISTER_CLIENT => client::unregister(request, header),
        Code::GET_CONSUMER_LIST_BY_GROUP => client::members(request, header),
        Code::CHECK_CLIENT_CONFIG => client::check_config(request),
        Code::CONSUMER_SEND_MSG_BACK => client::send_back(request, header).await,
        Code::SEND_REPLY_MESSAGE | Code::SEND_REPLY_MESSAGE_V2 => respond::respond(request, header).await,
        Code::LOCK_BATCH_MQ => client::lock(request).await,
        Code::UNLOCK_BATCH_MQ => client::unlock(request),
        Code::QUERY_CONSUMER_OFFSET => offset::query(request, header).await,
        Code::UPDATE_CONSUMER_OFFSET => offset::update(request, header).await,
        Code::GET_MAX_OFFSET => offset::max(request, header),
        Code::GET_MIN_OFFSET => offset::min(request, header),
        Code::SEARCH_OFFSET_BY_TIMESTAMP => offset::search(request, header).await,
        Code::GET_EARLIEST_MSG_STORETIME => offset::earliest(request, header).await,
        Code::RECALL_MESSAGE => timer::recall(request, header).await,
        // These wait for a client, which may take its time: they must not keep a turn from others.
        Code::GET_CONSUMER_RUNNING_INFO => client::running_info(request, header).await,
        Code::INVOKE_BROKER_TO_GET_CONSUMER_STATUS => client::status(request, header).await,
        Code::CONSUME_MESSAGE_DIRECTLY => client::consume_directly(request, header).await,
        _ => return None,
    })
}

fn look(code: Code) -> Option<Look> {
    Some(match code {
        Code::GET_CONSUMER_CONNECTION_LIST => client::consumer_connections,
        Code::GET_PRODUCER_CONNECTION_LIST => client::producer_connections,
        Code::GET_ALL_PRODUCER_INFO => client::all_producers,
        Code::GET_ALL_CONSUMER_OFFSET => offset::all,
        Code::GET_ALL_DELAY_OFFSET => timer::delay_offsets,
        Code::VIEW_MESSAGE_BY_ID => query::view,
        Code::QUERY_CONSUME_QUEUE => query::consume_queue,
        Code::QUERY_MESSAGE => query::by_key,
        Code::GET_TOPIC_CONFIG => topic::config,
        Code::GET_ALL_TOPIC_CONFIG => topic::all,
        Code::GET_TOPIC_STATS_INFO => topic::stats,
        Code::GET_SYSTEM_TOPIC_LIST_FROM_BROKER => topic::system_list,
        Code::QUERY_TOPIC_CONSUME_BY_WHO => topic::consumers,
        Code::GET_ALL_SUBSCRIPTIONGROUP_CONFIG => group::all,
        Code::GET_SUBSCRIPTIONGROUP_CONFIG => group::config,
        Code::GET_CONSUME_STATS => group::stats,
        Code::GET_BROKER_CONSUME_STATS => group::stats_of_all,
        Code::QUERY_CONSUME_TIME_SPAN => group::time_span,
        Code::QUERY_TOPICS_BY_CONSUMER => group::topics,
        Code::QUERY_SUBSCRIPTION_BY_CONSUMER => group::subscription,
        Code::GET_BROKER_RUNTIME_INFO => runtime::info,
        Code::GET_BROKER_HA_STATUS => runtime::replicas,
        Code::VIEW_BROKER_STATS_DATA => runtime::trend,
        Code::GET_BROKER_CONFIG => config::get,
        Code::GET_COLD_DATA_FLOW_CTR_INFO => cold::info,
        _ => return None,
    })
}

fn is_change(code: Code) -> bool {
    matches!(
        code,
        Code::INVOKE_BROKER_TO_RESET_OFFSET
            | Code::CLONE_GROUP_OFFSET
            | Code::LIST_TIMERS
            | Code::CANCEL_TIMERS
            | Code::GET_TIMER_CHECK_POINT
            | Code::GET_TIMER_METRICS
            | Code::UPDATE_AND_CREATE_TOPIC
            | Code::UPDATE_AND_CREATE_TOPIC_LIST
            | Code::DELETE_TOPIC_IN_BROKER
            | Code::CLEAN_UNUSED_TOPIC
            | Code::CLEAN_EXPIRED_CONSUMEQUEUE
            | Code::DELETE_EXPIRED_COMMITLOG
            | Code::UPDATE_AND_CREATE_SUBSCRIPTIONGROUP
            | Code::UPDATE_AND_CREATE_SUBSCRIPTIONGROUP_LIST
            | Code::DELETE_SUBSCRIPTIONGROUP
            | Code::UPDATE_AND_GET_GROUP_FORBIDDEN
            | Code::SET_MESSAGE_REQUEST_MODE
            | Code::UPDATE_BROKER_CONFIG
            | Code::UPDATE_COLD_DATA_FLOW_CTR_CONFIG
            | Code::REMOVE_COLD_DATA_FLOW_CTR_CONFIG
            | Code::SET_COMMITLOG_READ_MODE
    )
}

/// What changes something, or asks somebody who owns it.
async fn change(request: &Request, header: &Header<'_>) -> Outcome {
    match header.request_code() {
        Code::INVOKE_BROKER_TO_RESET_OFFSET => offset::reset(request, header).await,
        Code::CLONE_GROUP_OFFSET => offset::clone_group(request, header).await,
        Code::LIST_TIMERS => timer::list(request, header).await,
        Code::CANCEL_TIMERS => timer::cancel(request, header).await,
        Code::GET_TIMER_CHECK_POINT => timer::check_point(request).await,
        Code::GET_TIMER_METRICS => timer::metrics(request).await,
        Code::UPDATE_AND_CREATE_TOPIC => topic::create(request, header).await,
        Code::UPDATE_AND_CREATE_TOPIC_LIST => topic::create_list(request).await,
        Code::DELETE_TOPIC_IN_BROKER => topic::delete(request, header).await,
        // Queues are derived from the log and shrink with it; those of deleted topics hold nothing.
        Code::CLEAN_UNUSED_TOPIC | Code::CLEAN_EXPIRED_CONSUMEQUEUE => Ok(Reply::ok()),
        Code::DELETE_EXPIRED_COMMITLOG => runtime::retain(request),
        Code::UPDATE_AND_CREATE_SUBSCRIPTIONGROUP => group::create(request).await,
        Code::UPDATE_AND_CREATE_SUBSCRIPTIONGROUP_LIST => group::create_list(request).await,
        Code::DELETE_SUBSCRIPTIONGROUP => group::delete(request, header).await,
        Code::UPDATE_AND_GET_GROUP_FORBIDDEN => group::forbidden(request, header).await,
        Code::SET_MESSAGE_REQUEST_MODE => group::request_mode(request),
        Code::UPDATE_BROKER_CONFIG => config::update(request).await,
        Code::UPDATE_COLD_DATA_FLOW_CTR_CONFIG => cold::limit(request),
        Code::REMOVE_COLD_DATA_FLOW_CTR_CONFIG => cold::unlimit(),
        Code::SET_COMMITLOG_READ_MODE => cold::read_mode(header),
        _ => Ok(unsupported(header)),
    }
}
