//! One table from request code to handler, for all that is not a send or a pull.

use super::{answer, client, group, offset, query, respond, runtime, timer, topic, unsupported};
use crate::reply::Reply;
use crate::server::{Connection, Work};
use ::broker::Broker;
use std::sync::Arc;
use wire::remoting::RequestCode as Code;
use wire::remoting::frame::RawFrame;
use wire::remoting::header::Header;

/// What a handler works with.
pub(super) struct Request {
    pub(super) broker: Arc<Broker>,
    pub(super) connection: Arc<Connection>,
    pub(super) frame: RawFrame,
}

/// A reply, or the reply that says what is wrong.
pub(super) type Outcome = Result<Reply, Reply>;

pub(super) fn dispatch(
    broker: &Arc<Broker>,
    connection: &Arc<Connection>,
    frame: &RawFrame,
    header: &Header<'_>,
    work: &mut Work,
) {
    let bytes = frame.header.len() + frame.body.len();
    let request = Request { broker: Arc::clone(broker), connection: Arc::clone(connection), frame: frame.clone() };
    if header.request_code() == Code::UPDATE_CONSUMER_OFFSET && header.is_one_way() {
        // Commits come with every batch that is consumed; nobody waits for this one.
        return offset::commit_one_way(broker, connection.id(), header);
    }
    work.push(
        bytes,
        Box::pin(async move {
            // The header is decoded again rather than copied: what comes here is rare.
            let Ok(header) = Header::parse(&request.frame) else { return };
            let reply = handle(&request, &header).await.unwrap_or_else(|refusal| {
            let (peer, code) = (request.connection.peer(), header.request_code());
            tracing::debug!(%peer, %code, answer = %refusal.code, remark = refusal.remark.as_deref(), "a request is refused");
            refusal
        });
            answer(&request.connection, &request.frame, &header, &reply);
        }),
    );
}

async fn handle(request: &Request, header: &Header<'_>) -> Outcome {
    match header.request_code() {
        Code::HEART_BEAT => client::heartbeat(request, header).await,
        Code::UNREGISTER_CLIENT => client::unregister(request, header),
        Code::GET_CONSUMER_LIST_BY_GROUP => client::members(request, header),
        Code::CHECK_CLIENT_CONFIG => client::check_config(request),
        Code::CONSUMER_SEND_MSG_BACK => client::send_back(request, header).await,
        Code::SEND_REPLY_MESSAGE | Code::SEND_REPLY_MESSAGE_V2 => respond::respond(request, header).await,
        Code::LOCK_BATCH_MQ => client::lock(request).await,
        Code::UNLOCK_BATCH_MQ => client::unlock(request),
        Code::GET_CONSUMER_RUNNING_INFO => client::running_info(request, header).await,
        Code::INVOKE_BROKER_TO_GET_CONSUMER_STATUS => client::status(request, header).await,
        Code::CONSUME_MESSAGE_DIRECTLY => client::consume_directly(request, header).await,
        Code::GET_CONSUMER_CONNECTION_LIST => client::consumer_connections(request, header),
        Code::GET_PRODUCER_CONNECTION_LIST => client::producer_connections(request, header),
        Code::GET_ALL_PRODUCER_INFO => client::all_producers(request),
        Code::QUERY_CONSUMER_OFFSET => offset::query(request, header).await,
        Code::UPDATE_CONSUMER_OFFSET => offset::update(request, header).await,
        Code::GET_MAX_OFFSET => offset::max(request, header),
        Code::GET_MIN_OFFSET => offset::min(request, header),
        Code::SEARCH_OFFSET_BY_TIMESTAMP => offset::search(request, header).await,
        Code::GET_EARLIEST_MSG_STORETIME => offset::earliest(request, header).await,
        Code::GET_ALL_CONSUMER_OFFSET => offset::all(request),
        Code::INVOKE_BROKER_TO_RESET_OFFSET => offset::reset(request, header).await,
        Code::CLONE_GROUP_OFFSET => offset::clone_group(request, header).await,
        Code::RECALL_MESSAGE => timer::recall(request, header).await,
        Code::LIST_TIMERS => timer::list(request, header).await,
        Code::CANCEL_TIMERS => timer::cancel(request, header).await,
        Code::GET_ALL_DELAY_OFFSET => timer::delay_offsets(request),
        Code::GET_TIMER_CHECK_POINT => timer::check_point(request).await,
        Code::GET_TIMER_METRICS => timer::metrics(request).await,
        Code::VIEW_MESSAGE_BY_ID => query::view(request, header).await,
        Code::QUERY_CONSUME_QUEUE => query::consume_queue(request, header).await,
        Code::QUERY_MESSAGE => query::by_key(request, header).await,
        Code::UPDATE_AND_CREATE_TOPIC => topic::create(request, header).await,
        Code::UPDATE_AND_CREATE_TOPIC_LIST => topic::create_list(request).await,
        Code::DELETE_TOPIC_IN_BROKER => topic::delete(request, header).await,
        Code::GET_TOPIC_CONFIG => topic::config(request, header),
        Code::GET_ALL_TOPIC_CONFIG => topic::all(request, header),
        Code::GET_TOPIC_STATS_INFO => topic::stats(request, header).await,
        Code::GET_SYSTEM_TOPIC_LIST_FROM_BROKER => topic::system_list(request),
        Code::QUERY_TOPIC_CONSUME_BY_WHO => topic::consumers(request, header),
        Code::CLEAN_UNUSED_TOPIC | Code::CLEAN_EXPIRED_CONSUMEQUEUE => Ok(Reply::ok()),
        Code::UPDATE_AND_CREATE_SUBSCRIPTIONGROUP => group::create(request).await,
        Code::UPDATE_AND_CREATE_SUBSCRIPTIONGROUP_LIST => group::create_list(request).await,
        Code::GET_ALL_SUBSCRIPTIONGROUP_CONFIG => group::all(request, header),
        Code::GET_SUBSCRIPTIONGROUP_CONFIG => group::config(request, header),
        Code::DELETE_SUBSCRIPTIONGROUP => group::delete(request, header).await,
        Code::GET_CONSUME_STATS => group::stats(request, header).await,
        Code::GET_BROKER_CONSUME_STATS => group::stats_of_all(request, header).await,
        Code::QUERY_CONSUME_TIME_SPAN => group::time_span(request, header).await,
        Code::QUERY_TOPICS_BY_CONSUMER => group::topics(request, header),
        Code::QUERY_SUBSCRIPTION_BY_CONSUMER => group::subscription(request, header),
        Code::UPDATE_AND_GET_GROUP_FORBIDDEN => group::forbidden(request, header).await,
        Code::GET_BROKER_RUNTIME_INFO => runtime::info(request).await,
        Code::GET_BROKER_CONFIG => runtime::config(request),
        _ => Ok(unsupported(header)),
    }
}
