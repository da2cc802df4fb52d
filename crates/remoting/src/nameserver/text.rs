//! Texts by namespace and key.

use super::config::CONFIG_NAMESPACE;
use super::{NameServer, Outcome, with_json};
use crate::reply::Reply;
use cluster::metadata::Change;
use wire::remoting::body::KvTable;
use wire::remoting::header::Header;
use wire::remoting::{ResponseCode, request, response};

/// Namespace of the order configuration of topics.
pub const ORDER_NAMESPACE: &str = "ORDER_TOPIC_CONFIG";
/// Most bytes of one text.
const TEXT_BYTES_MAX: usize = 1 << 20;
/// Most texts of one namespace.
const TEXTS_MAX: usize = 100_000;

impl NameServer {
    pub(super) fn put_text(&self, header: &Header<'_>) -> Result<Outcome, Reply> {
        let ask = request::PutKvConfig::parse(&header.fields)?;
        check_namespace(ask.namespace)?;
        let refuse = |remark: String| Err(Reply::error(ResponseCode::INVALID_PARAMETER, remark));
        let bytes = ask.namespace.len() + ask.key.len() + ask.value.len();
        if bytes > TEXT_BYTES_MAX {
            return refuse(format!(
                "namespace, key and value have {bytes} bytes; at most {TEXT_BYTES_MAX} are allowed"
            ));
        }
        let state = self.metadata.read();
        let known = state.kv.get(ask.namespace);
        if known.is_some_and(|texts| texts.len() >= TEXTS_MAX && !texts.contains_key(ask.key)) {
            return refuse(format!("namespace '{}' has {TEXTS_MAX} keys already; delete some", ask.namespace));
        }
        let change =
            Change::KvSet { namespace: ask.namespace.to_owned(), key: ask.key.to_owned(), value: ask.value.to_owned() };
        Ok(Outcome::after(change))
    }

    pub(super) fn get_text(&self, header: &Header<'_>) -> Result<Reply, Reply> {
        let ask = request::GetKvConfig::parse(&header.fields)?;
        let state = self.metadata.read();
        let Some(value) = state.kv(ask.namespace, ask.key) else {
            let remark = format!("No config item, Namespace: {} Key: {}", ask.namespace, ask.key);
            return Err(Reply::error(ResponseCode::QUERY_NOT_FOUND, remark));
        };
        let mut reply = Reply::ok();
        response::GetKvConfig { value: Some(value) }.write(&mut reply);
        Ok(reply)
    }

    pub(super) fn delete_text(&self, header: &Header<'_>) -> Result<Outcome, Reply> {
        let ask = request::DeleteKvConfig::parse(&header.fields)?;
        check_namespace(ask.namespace)?;
        if self.metadata.read().kv(ask.namespace, ask.key).is_none() {
            return Ok(Reply::ok().into());
        }
        let change = Change::KvDeleted { namespace: ask.namespace.to_owned(), key: ask.key.to_owned() };
        Ok(Outcome::after(change))
    }

    pub(super) fn list_texts(&self, header: &Header<'_>) -> Result<Reply, Reply> {
        let ask = request::GetKvList::parse(&header.fields)?;
        match self.metadata.read().kv.get(ask.namespace) {
            Some(table) => Ok(with_json(header, &KvTable { table: table.clone() })),
            None => {
                let remark = format!("No config item, Namespace: {}", ask.namespace);
                Err(Reply::error(ResponseCode::QUERY_NOT_FOUND, remark))
            }
        }
    }
}

fn check_namespace(namespace: &str) -> Result<(), Reply> {
    if namespace == CONFIG_NAMESPACE {
        let remark =
            format!("namespace '{namespace}' holds the name server's configuration; change it by its own request");
        return Err(Reply::error(ResponseCode::NO_PERMISSION, remark));
    }
    Ok(())
}
