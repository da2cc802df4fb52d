use super::*;
use crate::remoting::code::Language;
use crate::remoting::writer::FrameWriter;
use bytes::BytesMut;
use proptest::prelude::*;
use std::collections::HashMap;

fn header(code: i32) -> Header<'static> {
    Header { code, ..Header::default() }
}

fn check_json(text: &str, expected: Result<Header<'_>, HeaderError>) {
    assert_eq!(Header::parse_bytes(Encoding::Json, text.as_bytes()), expected, "{text}");
}

#[test]
fn a_java_send_request_is_read() {
    let text = r#"{"code":310,"extFields":{"a":"PG","b":"TopicTest","c":"TBW102","d":"4","e":"3","f":"0","g":"1700000000123","h":"0","i":"UNIQ_KEY\u00017F\u0002WAIT\u0001true\u0002","j":"0","k":"false","m":"false","n":"broker-a"},"flag":0,"language":"JAVA","opaque":17,"serializeTypeCurrentRPC":"JSON","version":513}"#;
    let got = Header::parse_bytes(Encoding::Json, text.as_bytes()).expect("well formed");
    assert_eq!((got.code, got.language, got.version, got.opaque, got.flag), (310, 0, 513, 17, 0));
    assert_eq!(got.fields.len(), 13);
    assert_eq!(got.fields.get("i"), Some("UNIQ_KEY\u{1}7F\u{2}WAIT\u{1}true\u{2}"));
    assert_eq!(got.fields.get("n"), Some("broker-a"));
    assert_eq!(got.fields.get("z"), None);
    assert_eq!(got.clone().into_owned(), got);
    assert!(!got.is_response() && !got.is_one_way());
}

#[test]
fn borrowed_unless_escaped() {
    let text = br#"{"code":1,"extFields":{"plain":"a text of more than eight bytes","escaped":"tab\t"}}"#;
    let got = Header::parse_bytes(Encoding::Json, text).expect("well formed");
    let text = std::str::from_utf8(text).expect("ascii");
    let plain = got.fields.get("plain").expect("sent");
    assert!(text.as_bytes().as_ptr_range().contains(&plain.as_ptr()));
    assert_eq!(got.fields.get("escaped"), Some("tab\t"));
}

#[test]
fn json_is_read_in_every_form_that_clients_send() {
    check_json(r#"{"code":1}"#, Ok(header(1)));
    check_json(" {\n\t\"code\" : 1 ,\r \"opaque\":-5 } ", Ok(Header { opaque: -5, ..header(1) }));
    check_json(r#"{"opaque":-2147483648,"code":2147483647}"#, Ok(Header { opaque: i32::MIN, ..header(i32::MAX) }));
    check_json(r#"{"code":"34","version":null,"remark":null,"extFields":null}"#, Ok(header(34)));
    check_json(r#"{"code":1,"extFields":{}}"#, Ok(header(1)));
    check_json(r#"{"code":1,"language":"GO"}"#, Ok(Header { language: Language::GO.0, ..header(1) }));
    check_json(r#"{"code":1,"language":1}"#, Ok(Header { language: 1, ..header(1) }));
    check_json(r#"{"code":1,"language":"COBOL"}"#, Ok(Header { language: Language::OTHER.0, ..header(1) }));
    check_json(
        r#"{"co\u0064e":1,"remark":"\u00e9\ud83d\ude00\"\/\\"}"#,
        Ok(Header { remark: Some("é😀\"/\\".into()), ..header(1) }),
    );
    check_json(
        r#"{"code":1,"remark":"\ud83d!\udc00"}"#,
        Ok(Header { remark: Some("\u{fffd}!\u{fffd}".into()), ..header(1) }),
    );
    check_json(r#"{"code":1,"x":{"y":[1,{"z":"}]\"{"}],"w":-1.5e3},"v":[],"u":true}"#, Ok(header(1)));
    let fields: Fields<'_> = [("n", "7"), ("b", "true"), ("o", r#"{"k":[1]}"#), ("f", "-1.5")].into_iter().collect();
    check_json(
        r#"{"code":1,"extFields":{"n":7,"b":true,"no":null,"o":{"k":[1]},"f":-1.5}}"#,
        Ok(Header { fields, ..header(1) }),
    );
}

#[test]
fn of_equal_names_the_last_counts() {
    let fields: Fields<'_> = [("a", "1"), ("a", "2")].into_iter().collect();
    assert_eq!(fields.get("a"), Some("2"));
    let binary = b"\0\x01\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\x10\0\x01a\0\0\0\x011\0\x01a\0\0\0\x012";
    check_binary(binary, Ok(Header { fields, ..header(1) }));
}

#[test]
fn broken_json_is_refused() {
    let syntax = |at, expected| Err(HeaderError::Syntax { at, expected });
    let truncated = |bytes, inside| Err(HeaderError::Truncated { bytes, inside });
    check_json("", truncated(0, "the JSON object"));
    check_json("{}", Err(HeaderError::NoCode));
    check_json("[1]", syntax(0, "'{'"));
    check_json(r#"{"code":1"#, truncated(9, "the JSON object"));
    check_json(r#"{"code":1}x"#, syntax(10, "the end of the header"));
    check_json(r#"{"code":1,}"#, syntax(10, "'\"'"));
    check_json(r#"{"code" 1}"#, syntax(8, "':'"));
    check_json(r#"{"code":x y}"#, syntax(8, "an integer of 32 bits"));
    check_json(r#"{"code":2147483648}"#, syntax(8, "an integer of 32 bits"));
    check_json(r#"{"code":99999999999999999999}"#, syntax(8, "an integer of 32 bits"));
    check_json(r#"{"code":1.5}"#, syntax(8, "an integer of 32 bits"));
    check_json(r#"{"code":1,"remark":"abc"#, truncated(23, "a string"));
    check_json(r#"{"code":1,"remark":"abc\"#, truncated(24, "a string"));
    check_json(r#"{"code":1,"remark":"\q"}"#, syntax(20, "a known escape"));
    check_json(r#"{"code":1,"remark":"\u00g0"}"#, syntax(24, "a hexadecimal digit"));
    check_json(r#"{"code":1,"x":}"#, syntax(14, "a value"));
    assert_eq!(Header::parse_bytes(Encoding::Json, b"{\"code\":1,\"\xff\":1}"), Err(HeaderError::NotUtf8 { at: 11 }));
}

#[test]
fn bounds_hold() {
    let deep = format!("{{\"code\":1,\"x\":{}}}", "[".repeat(DEPTH_MAX + 1));
    check_json(&deep, Err(HeaderError::TooDeep { limit: DEPTH_MAX }));
    let members: Vec<String> = (0..=FIELDS_MAX).map(|n| format!("\"{n}\":\"\"")).collect();
    let many = format!("{{\"code\":1,\"extFields\":{{{}}}}}", members.join(","));
    check_json(&many, Err(HeaderError::TooManyFields { limit: FIELDS_MAX }));
    let enough = format!("{{\"code\":1,\"extFields\":{{{}}}}}", members[1..].join(","));
    assert_eq!(Header::parse_bytes(Encoding::Json, enough.as_bytes()).expect("at the limit").fields.len(), FIELDS_MAX);
}

fn check_binary(bytes: &[u8], expected: Result<Header<'_>, HeaderError>) {
    assert_eq!(Header::parse_bytes(Encoding::Binary, bytes), expected, "{bytes:?}");
}

#[test]
fn binary_is_read() {
    let fixed = b"\x01\x36\x09\x02\x01\0\0\0\x11\0\0\0\x02";
    let with = |rest: &[u8]| [&fixed[..], rest].concat();
    let base = Header { language: 9, version: 513, opaque: 17, flag: 2, ..header(310) };
    check_binary(&with(b"\0\0\0\0\0\0\0\0"), Ok(base.clone()));
    let fields: Fields<'_> = [("a", "PG")].into_iter().collect();
    let full = Header { remark: Some("hm".into()), fields, ..base };
    check_binary(&with(b"\0\0\0\x02hm\0\0\0\x10\0\x01a\0\0\0\x02PG\0\x01b\0\0\0\0"), Ok(full));
    check_binary(
        &[0xFC, 0x18, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0],
        Ok(Header { flag: 1, ..header(-1000) }),
    );
}

#[test]
fn broken_binary_is_refused() {
    let fixed = [0; 13];
    let check = |rest: &[u8], expected| check_binary(&[&fixed[..], rest].concat(), Err(expected));
    check(&[0, 0], HeaderError::Truncated { bytes: 15, inside: "the remark" });
    check(&[0, 0, 0, 1], HeaderError::BadLength { at: 13, what: "the remark", length: 1, left: 0 });
    check(&[0xFF; 4], HeaderError::BadLength { at: 13, what: "the remark", length: -1, left: 0 });
    check(b"\0\0\0\x01\xff", HeaderError::NotUtf8 { at: 17 });
    check(b"\0\0\0\0\0\0\0\x05", HeaderError::BadLength { at: 17, what: "the fields", length: 5, left: 0 });
    check(b"\0\0\0\0\0\0\0\x02\0\x05", HeaderError::Truncated { bytes: 23, inside: "a field name" });
    check(
        b"\0\0\0\0\0\0\0\x07\0\x01a\0\0\0\x09",
        HeaderError::BadLength { at: 24, what: "a field value", length: 9, left: 0 },
    );
    check(
        b"\0\0\0\0\0\0\0\x06\0\x01a\0\0\0\x01b",
        HeaderError::Syntax { at: 27, expected: "the end of the last field" },
    );
    for names in ["ab", "aa", "qr"] {
        let [first, second] = *names.as_bytes() else { continue };
        let halves = [0, 1, first, 0, 0, 0, 1, 0xC3, 0, 1, second, 0, 0, 0, 1, 0xA9];
        check(&[&b"\0\0\0\0\0\0\0\x10"[..], &halves].concat(), HeaderError::NotUtf8 { at: 21 });
    }
}

fn texts() -> impl Strategy<Value = String> {
    prop_oneof!["[a-q]", ".{0,20}", "[a-z\\\\\"\u{1}\u{2}/ ]{0,40}"]
}

proptest! {
    #[test]
    fn what_is_written_is_read(
        code in -2000i32..30000, opaque: i32, flag in 0i32..4, version in 0i32..600,
        remark in prop::option::of(texts()),
        pairs in prop::collection::vec((texts(), texts()), 0..20),
        binary: bool, remark_late: bool, body in prop::collection::vec(any::<u8>(), 0..30),
    ) {
        let encoding = if binary { Encoding::Binary } else { Encoding::Json };
        let mut buf = BytesMut::from(&b"before"[..]);
        let mut writer = FrameWriter::begin(&mut buf, encoding, code, opaque, flag, version);
        if let (Some(remark), false) = (&remark, remark_late) {
            writer.remark(remark);
        }
        for (name, value) in &pairs {
            writer.field(name, value);
        }
        if let (Some(remark), true) = (&remark, remark_late) {
            writer.remark(remark);
        }
        let bytes = writer.finish_parts(body.chunks(7));
        prop_assert_eq!(buf.len(), b"before".len() + bytes);
        let frame = crate::remoting::frame::split(&mut &buf[b"before".len()..], &Default::default()).expect("own frame").expect("whole");
        prop_assert_eq!(frame.body, &body[..]);
        prop_assert_eq!(frame.encoding, encoding);
        let got = Header::parse(&frame).expect("own header");
        prop_assert_eq!((got.code, got.opaque, got.flag, got.version, got.language), (code, opaque, flag, version, 0));
        // In binary an empty text means none.
        let kept = |text: &str| !binary || !text.is_empty();
        prop_assert_eq!(got.remark.as_deref(), remark.as_deref().filter(|r| kept(r)));
        let sent = || pairs.iter().map(|(n, v)| (&**n, &**v)).filter(|(n, v)| kept(n) && kept(v));
        let last: HashMap<&str, &str> = sent().collect();
        prop_assert!(last.iter().all(|(name, value)| got.fields.get(name) == Some(value)));
        prop_assert_eq!(got.fields.iter().collect::<HashMap<_, _>>(), last);
        let is_letter = |(name, _): &(&str, &str)| name.len() == 1;
        prop_assert!(got.fields.iter().filter(|field| !is_letter(field)).eq(sent().filter(|field| !is_letter(field))));
        if !binary {
            let strict: serde_json::Value = serde_json::from_slice(frame.header).expect("strict JSON");
            prop_assert_eq!(strict["opaque"].as_i64(), Some(i64::from(opaque)));
        }
    }

    #[test]
    fn any_strict_json_is_read_as_serde_reads_it(
        code: i32, name in texts(), value in texts(), number: i64, pretty: bool,
    ) {
        let object = serde_json::json!({
            "code": code, "other": [number, null, {"deep": name}],
            "extFields": {"value": value, "number": number}, "remark": name,
        });
        let text = if pretty { serde_json::to_string_pretty(&object) } else { serde_json::to_string(&object) };
        let text = text.expect("plain values");
        let got = Header::parse_bytes(Encoding::Json, text.as_bytes()).expect("strict JSON");
        prop_assert_eq!(got.code, code);
        prop_assert_eq!(got.remark.as_deref(), Some(&*name));
        prop_assert_eq!(got.fields.get("value"), Some(&*value));
        prop_assert_eq!(got.fields.get("number"), Some(&*number.to_string()));
    }

    #[test]
    fn noise_never_panics(noise in prop::collection::vec(any::<u8>(), 0..200), text in "[{}\\[\\]\":,a-u0-9\\\\ é]{0,60}") {
        for encoding in [Encoding::Json, Encoding::Binary] {
            drop(Header::parse_bytes(encoding, &noise));
        }
        drop(Header::parse_bytes(Encoding::Json, text.as_bytes()));
        drop(Header::parse_bytes(Encoding::Json, format!("{{\"code\":1,\"extFields\":{text}").as_bytes()));
        drop(Header::parse_bytes(Encoding::Json, format!("{{\"code\":1,\"remark\":\"{text}").as_bytes()));
    }
}
