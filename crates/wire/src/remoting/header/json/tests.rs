//! The scanner against one that takes each byte by itself.

use super::*;
use crate::remoting::Memory;
use crate::remoting::frame::{Encoding, RawFrame};
use proptest::prelude::*;

type Slow<T> = std::result::Result<T, HeaderError>;

struct SlowScanner<'a> {
    text: &'a str,
    at: usize,
}

impl SlowScanner<'_> {
    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    fn is_at(&self, bytes: &[u8]) -> bool {
        self.peek().is_some_and(|byte| bytes.contains(&byte))
    }

    fn pass(&mut self, bytes: &[u8]) {
        while self.is_at(bytes) {
            self.at += 1;
        }
    }

    fn space(&mut self) {
        self.pass(b" \n\r\t");
    }

    fn wrong<T>(&self, expected: &'static str) -> Slow<T> {
        Err(match self.peek() {
            Some(_) => HeaderError::Syntax { at: self.at, expected },
            None => HeaderError::Truncated { bytes: self.text.len(), inside: "the JSON object" },
        })
    }

    fn expect(&mut self, byte: u8, expected: &'static str) -> Slow<()> {
        self.space();
        if !self.is_at(&[byte]) {
            return self.wrong(expected);
        }
        self.at += 1;
        Ok(())
    }

    fn members(&mut self, mut member: impl FnMut(&mut Self, &str) -> Slow<()>) -> Slow<()> {
        self.expect(b'{', "'{'")?;
        self.space();
        if self.is_at(b"}") {
            self.at += 1;
            return Ok(());
        }
        loop {
            self.space();
            let name = self.string()?;
            self.expect(b':', "':'")?;
            self.space();
            member(self, &name)?;
            self.space();
            if !self.is_at(b",}") {
                return self.wrong("',' or '}'");
            }
            self.at += 1;
            if self.text.as_bytes()[self.at - 1] == b'}' {
                return Ok(());
            }
        }
    }

    fn string(&mut self) -> Slow<String> {
        if !self.is_at(b"\"") {
            return self.wrong("'\"'");
        }
        let (start, mut end) = (self.at + 1, self.at + 1);
        loop {
            match self.text.as_bytes().get(end) {
                None => return Err(HeaderError::from_escape(EscapeError::Truncated, self.text.len())),
                Some(b'"') => {
                    self.at = end + 1;
                    return Ok(self.text[start..end].to_owned());
                }
                Some(b'\\') => break,
                Some(_) => end += 1,
            }
        }
        let mut decoded = String::new();
        let decoding = unescape_into(&mut decoded, self.text, start, end, b'"');
        self.at = decoding.map_err(|error| HeaderError::from_escape(error, self.text.len()))?;
        Ok(decoded)
    }

    /// The text of a string, number or literal, the raw text of a nested value, nothing for null.
    fn scalar(&mut self) -> Slow<Option<String>> {
        if self.is_at(b"\"") {
            return self.string().map(Some);
        }
        let start = self.at;
        self.skip()?;
        Ok(Some(self.text[start..self.at].to_owned()).filter(|raw| raw != "null"))
    }

    /// Has no fast path to be compared with.
    fn skip(&mut self) -> Slow<()> {
        let mut scanner = Scanner { text: self.text, bytes: self.text.as_bytes(), at: self.at, opaque: 0..0 };
        scanner.skip().map_err(|error| *error)?;
        self.at = scanner.at;
        Ok(())
    }

    fn integer(&mut self) -> Slow<i32> {
        let start = self.at;
        self.at += usize::from(self.is_at(b"-"));
        let digits = self.at;
        self.pass(b"0123456789");
        let number = self.text[start..self.at].parse();
        match number {
            Ok(number) if self.at - digits <= 10 && !self.is_at(b".eE") => return Ok(number),
            _ => self.at = start,
        }
        let Some(text) = self.scalar()? else { return Ok(0) };
        text.parse().map_err(|_| HeaderError::Syntax { at: start, expected: "an integer of 32 bits" })
    }

    fn language(&mut self) -> Slow<u8> {
        let Some(text) = self.scalar()? else { return Ok(Language::OTHER.0) };
        Ok(Language::from_name(&text).or_else(|| text.parse().ok().map(Language)).unwrap_or(Language::OTHER).0)
    }

    fn header(&mut self) -> Slow<Header<'static>> {
        let (mut header, mut code, mut fields) = (Header::default(), None, Vec::new());
        self.members(|scanner, name| {
            match name {
                "code" => code = Some(scanner.integer()?),
                "opaque" => header.opaque = scanner.integer()?,
                "flag" => header.flag = scanner.integer()?,
                "version" => header.version = scanner.integer()?,
                "language" => header.language = scanner.language()?,
                "remark" => header.remark = scanner.scalar()?.map(Cow::Owned),
                "extFields" if scanner.is_at(b"n") => scanner.skip()?,
                "extFields" => scanner.members(|scanner, name| {
                    fields.extend(scanner.scalar()?.map(|value| (name.to_owned(), value)));
                    Ok(())
                })?,
                _ => scanner.skip()?,
            }
            Ok(())
        })?;
        self.space();
        if self.at != self.text.len() {
            return self.wrong("the end of the header");
        }
        header.code = code.ok_or(HeaderError::NoCode)?;
        header.fields = fields.into_iter().collect();
        Ok(header)
    }
}

fn check(bytes: &[u8]) {
    let slow = match std::str::from_utf8(bytes) {
        Ok(text) => SlowScanner { text, at: 0 }.header(),
        Err(error) => Err(HeaderError::NotUtf8 { at: error.valid_up_to() }),
    };
    assert_eq!(Header::parse_bytes(Encoding::Json, bytes), slow, "{}", bytes.escape_ascii());
}

/// What clients send, as Java, as others, and with blanks; `group` and `key` are texts of any length.
fn headers(group: &str, key: &str) -> [String; 4] {
    [
        format!(
            r#"{{"code":310,"extFields":{{"a":"{group}","b":"TopicTest","c":"TBW102","d":"8","e":"3","f":"0","g":"1700000000123","h":"0","i":"UNIQ_KEY\u0001{key}\u0002WAIT\u0001true","j":"0","k":"false","l":"-1","m":"false","n":"broker-a"}},"flag":0,"language":"JAVA","opaque":1000000017,"serializeTypeCurrentRPC":"JSON","version":485}}"#
        ),
        format!(
            r#"{{"code":11,"language":"GO","version":5,"opaque":-17,"flag":2,"remark":"\n{key}","extFields":{{"consumerGroup":"{group}","topic":"T\té","q":"","queueId":"3","p":7}}}}"#
        ),
        format!(
            " {{ \"code\" : \"34\" , \"extFields\" : {{ \"a\" : \"{group}\", \"b\":\"2\", \"z\":null,\"c\":{{\"d\":[\"{key}\"]}}}} , \"version\" : null }} "
        ),
        format!(
            r#"{{"code":1,"extFields":null,"flag":0,"language":"JAVA","opaque":2147483647,"serializeTypeCurrentRPC":"{key}","version":-1}}"#
        ),
    ]
}

#[test]
fn headers_cut_anywhere_and_with_texts_of_any_length() {
    for bytes in 0..70 {
        for header in headers(&"g".repeat(bytes), &"K".repeat(70 - bytes)) {
            check(header.as_bytes());
        }
    }
    for header in headers("é", "\u{1F600}") {
        (0..header.len()).for_each(|end| check(&header.as_bytes()[..end]));
    }
}

/// A change of a header: where, how many bytes it takes away, and what it puts there.
fn edit() -> impl Strategy<Value = (prop::sample::Index, usize, Vec<u8>)> {
    let tokens =
        ["\"", "\\", ",", "\":\"", "\",\"", "{", "}", "]", " ", "#", "-", "1.", "null", "99999999999", "é", "JAVA"];
    let members =
        ["\\u0001", "\\u00e9", "\\ud83d", "\\q", "\"a\":\"\",", "\"code\":7,", ",\"opaque\":", ",\"version\":"];
    let text = prop::sample::select([&tokens[..], &members].concat()).prop_map(|text| text.as_bytes().to_vec());
    let put = prop_oneof![4 => text, 1 => prop::collection::vec(any::<u8>(), 0..3), 2 => Just(Vec::new())];
    (any::<prop::sample::Index>(), prop_oneof![3 => 0usize..3, 1 => 0usize..40], put)
}

/// A header is read behind others as by itself.
fn check_behind(before: &[u8], bytes: &[u8]) {
    let mut memory = Memory::default();
    let mut read = |bytes| {
        let read = memory.parse(&RawFrame { encoding: Encoding::Json, header: bytes, body: &[] });
        assert_eq!(read, Header::parse_bytes(Encoding::Json, bytes), "{}", bytes.escape_ascii());
        read.into_iter().for_each(|header| memory.take_back(header));
    };
    [before, before, bytes, before].into_iter().for_each(&mut read);
}

#[test]
fn sends_of_one_kind_have_a_shape() {
    let has_shape = |before: &str, header: &str| {
        let mut shapes = Shapes::default();
        for header in [before, header] {
            parse(header.as_bytes(), Spare::default(), Some(&mut shapes)).unwrap();
        }
        shapes.read(before, Spare::default()).is_ok()
    };
    let [send, pull, ..] = headers("group", "K1");
    let [other, ..] = headers("puorg", "K2");
    assert!(has_shape(&send, &other));
    assert!(!has_shape(&send, &headers("group", "K10")[0]));
    let quoting = |key: &str| format!(r#"{{"code":1,"extFields":{{"i":"\"{key}\"\n\\\u0002"}},"opaque":1}}"#);
    assert!(has_shape(&quoting("k"), &quoting("l")));
    assert!(!has_shape(&quoting("é"), &quoting("é")), "it is not ASCII");
    assert!(!has_shape(&pull, &pull), "it has a remark");
    assert!(!has_shape(r#"{"code":1}"#, r#"{"code":1}"#), "it has no number");
}

#[test]
fn only_the_number_of_the_request_is_its_number() {
    let check = |before: &str, header: &str| check_behind(before.as_bytes(), header.as_bytes());
    check(
        r#"{"code":1,"opaque":7,"extFields":{"x":"","opaque":7}}"#,
        r#"{"code":1,"opaque":7,"extFields":{"x":"","opaque":8}}"#,
    );
    check(
        r#"{"code":1,"opaque":7,"extFields":{"x":"","opaque":7}}"#,
        r#"{"code":1,"opaque":8,"extFields":{"x":"","opaque":7}}"#,
    );
    check(r#"{"code":1,"extFields":{"x":"","opaque":0}}"#, r#"{"code":1,"extFields":{"x":"","opaque":1}}"#);
    check(r#"{"code":1,"opaque":7,"y":{"x":"","opaque":7}}"#, r#"{"code":1,"opaque":7,"y":{"x":"","opaque":8}}"#);
    check(r#"{"code":1,"opaque":7,"a":"\u0041","opaque":7}"#, r#"{"code":1,"opaque":7,"a":"\u0041","opaque":9}"#);
    check(r#"{"code":1,"opaque":"7"}"#, r#"{"code":1,"opaque":"8"}"#);
    check(r#"{"code":1,"opaque":-7}"#, r#"{"code":1,"opaque":-8}"#);
    check(r#"{"code":1,"opaque":2147483647}"#, r#"{"code":1,"opaque":2147483648}"#);
    check(r#"{"code":1,"opaque":77}"#, r#"{"code":1,"opaque":7:}"#);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn broken_headers_are_read_alike(
        kind in 0usize..4, group in "[a-z%_-]{0,40}", key in "[A-Z0-9]{0,40}", edits in prop::collection::vec(edit(), 0..4),
    ) {
        let mut bytes = headers(&group, &key)[kind].clone().into_bytes();
        for (at, len, put) in edits {
            let at = at.index(bytes.len() + 1);
            let end = bytes.len().min(at + len);
            bytes.splice(at..end, put);
        }
        check(&bytes);
    }

    #[test]
    fn headers_are_read_alike_behind_others(
        kind in 0usize..4, group in "[a-z%_-]{0,40}", key in "[A-Z0-9]{0,40}",
        changes in prop::collection::vec((any::<prop::sample::Index>(), prop::sample::select(&b"\"\\,:{}0159aZ\x1f\xc3\xa9 -"[..])), 0..4),
        edits in prop::collection::vec(edit(), 0..2),
    ) {
        let before = headers(&group, &key)[kind].clone().into_bytes();
        let mut bytes = before.clone();
        for (at, byte) in changes {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        check_behind(&before, &bytes);
        for (at, len, put) in edits {
            let at = at.index(bytes.len() + 1);
            // As often as not the length stays.
            let end = bytes.len().min(at + if len % 2 == 0 { put.len() } else { len });
            bytes.splice(at..end, put);
            check_behind(&before, &bytes);
            check_behind(&bytes, &before);
        }
    }
}
