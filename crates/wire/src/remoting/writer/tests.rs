use super::*;
use crate::name;
use crate::remoting::code::{RequestCode, ResponseCode};

fn check(write: impl FnOnce(&mut BytesMut) -> usize, expected: &[u8]) {
    let mut buf = BytesMut::new();
    let bytes = write(&mut buf);
    assert_eq!(buf.escape_ascii().to_string(), expected.escape_ascii().to_string());
    assert_eq!(bytes, expected.len());
}

/// Puts the lengths and the encoding in front.
fn frame(encoding: u8, header: &str, body: &str) -> Vec<u8> {
    let total = (4 + header.len() + body.len()) as u32;
    let mark = u32::from(encoding) << 24 | header.len() as u32;
    [&total.to_be_bytes()[..], &mark.to_be_bytes(), header.as_bytes(), body.as_bytes()].concat()
}

#[test]
fn json_answers() {
    let tail = r#""language":"JAVA","serializeTypeCurrentRPC":"JSON","version":513"#;
    check(
        |buf| FrameWriter::response(buf, Encoding::Json, ResponseCode::SUCCESS, 5).finish(),
        &frame(0, &format!(r#"{{"code":0,"flag":1,"opaque":5,{tail}}}"#), ""),
    );
    check(
        |buf| {
            let mut writer = FrameWriter::response(buf, Encoding::Json, ResponseCode::SUCCESS, -5);
            writer
                .field("msgId", "7F\"\u{1}")
                .field_i64(name!("queueOffset"), i64::MIN)
                .field_plain(name!("b"), "true");
            writer.finish_with(b"body")
        },
        &frame(
            0,
            &format!(
                r#"{{"code":0,"flag":1,"opaque":-5,{tail},"extFields":{{"msgId":"7F\"\u0001","queueOffset":"-9223372036854775808","b":"true"}}}}"#
            ),
            "body",
        ),
    );
    check(
        |buf| {
            let mut writer = FrameWriter::one_way(buf, Encoding::Json, RequestCode::NOTIFY_CONSUMER_IDS_CHANGED, 1);
            writer.field_u64(name!("n"), u64::MAX).remark("why\n").finish()
        },
        &frame(
            0,
            &format!(
                r#"{{"code":40,"flag":2,"opaque":1,{tail},"remark":"why\n","extFields":{{"n":"9223372036854775807"}}}}"#
            ),
            "",
        ),
    );
}

#[test]
fn binary_answers() {
    let fixed = "\0\x13\0\x02\x01\0\0\0\x05\0\0\0\x01";
    check(
        |buf| FrameWriter::response(buf, Encoding::Binary, ResponseCode::PULL_NOT_FOUND, 5).finish(),
        &frame(1, &format!("{fixed}\0\0\0\0\0\0\0\0"), ""),
    );
    for late in [false, true] {
        check(
            |buf| {
                let mut writer = FrameWriter::response(buf, Encoding::Binary, ResponseCode::PULL_NOT_FOUND, 5);
                if !late {
                    writer.remark("hm");
                }
                writer.field("k", "v").field_i64(name!("n"), 10);
                if late {
                    writer.remark("hm");
                }
                writer.finish_parts([b"bo", b"dy"])
            },
            &frame(1, &format!("{fixed}\0\0\0\x02hm\0\0\0\x11\0\x01k\0\0\0\x01v\0\x01n\0\0\0\x0210"), "body"),
        );
    }
}

#[test]
fn a_code_beyond_16_bits_falls_back_to_json() {
    let mut buf = BytesMut::new();
    FrameWriter::request(&mut buf, Encoding::Binary, RequestCode::POP_MESSAGE, 1).finish();
    assert_eq!(buf[4], Encoding::Json.byte());
}

#[test]
fn a_detached_body_is_counted() {
    let mut buf = BytesMut::new();
    let bytes = FrameWriter::response(&mut buf, Encoding::Json, ResponseCode::SUCCESS, 1).finish_detached(1000);
    assert_eq!(bytes, buf.len() + 1000);
    assert_eq!(u32::from_be_bytes([buf[0], buf[1], buf[2], buf[3]]) as usize, bytes - 4);
}

#[test]
fn an_abandoned_frame_leaves_nothing() {
    let mut buf = BytesMut::from(&b"kept"[..]);
    FrameWriter::response(&mut buf, Encoding::Json, ResponseCode::SUCCESS, 1).field("half", "done").abandon();
    assert_eq!(&buf[..], b"kept");
}
