//! What other clients send, which the command line does not.

use super::{Node, serve};
use std::io::{Read as _, Write as _};
use std::net::TcpStream;

/// The code that is sent here.
const HEART_BEAT: i32 = 34;

/// A client's connection.
struct Client(TcpStream);

impl Client {
    fn connect(address: &str) -> Self {
        Self(TcpStream::connect(address).unwrap())
    }

    /// The header of the answer.
    fn ask(&mut self, code: i32, fields: &str, body: &str) -> String {
        let header = format!(
            r#"{{"code":{code},"language":"JAVA","version":453,"opaque":1,"flag":0,"extFields":{{{fields}}}}}"#
        );
        let lengths = [header.len() + body.len() + 4, header.len()].map(|n| u32::try_from(n).unwrap().to_be_bytes());
        self.0.write_all(&[&lengths.concat(), header.as_bytes(), body.as_bytes()].concat()).unwrap();
        loop {
            let header = self.read();
            // What is no answer is a notice of the broker's.
            if header.contains("\"flag\":1,") {
                return header;
            }
        }
    }

    /// The header of the next frame.
    fn read(&mut self) -> String {
        let mut lengths = [0; 8];
        self.0.read_exact(&mut lengths).unwrap();
        let [all, header] = [0, 4].map(|at| u32::from_be_bytes(lengths[at..at + 4].try_into().unwrap()) as usize);
        let mut frame = vec![0; all - 4];
        self.0.read_exact(&mut frame).unwrap();
        String::from_utf8(frame[..header & 0xff_ffff].to_vec()).unwrap()
    }
}

#[test]
fn a_group_that_is_refused_does_not_keep_out_the_others_of_its_client() {
    let dir = tempfile::tempdir().unwrap();
    let node = Node::start_with(serve(dir.path()).args(["--auto-create-groups", "false"]));
    node.check("topic create t --queues 1", "", &["t"]);
    node.check("group create known", "", &["'known' is set"]);
    let consumer = |group: &str| {
        format!(
            r#"{{"groupName":"{group}","consumeType":"CONSUME_PASSIVELY","messageModel":"CLUSTERING","subscriptionDataSet":[{{"topic":"t","subString":"*"}}]}}"#
        )
    };
    let beat = format!(r#"{{"clientID":"both","consumerDataSet":[{},{}]}}"#, consumer("unknown"), consumer("known"));
    let mut client = Client::connect(node.address("broker"));
    let answer = client.ask(HEART_BEAT, "", &beat);
    assert!(answer.contains("\"code\":26") && answer.contains("unknown"), "{answer}");
    node.check("group show known", "", &["both"]);
}
