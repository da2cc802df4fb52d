//! What the command line says and does when an answer is lost.

use crate::{Node, PROGRAM};
use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::process::{Command, Output};

/// Stands between clients and a server, and hands on one request and its answer after the other. `pass` may change an answer;
/// where it says no, the connection is dropped instead.
fn between(server: &str, pass: impl Fn(&[u8], &mut [u8]) -> bool + Clone + Send + 'static) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let server = server.to_owned();
    std::thread::spawn(move || {
        for client in listener.incoming() {
            let (mut client, mut server) = (client.unwrap(), TcpStream::connect(&server).unwrap());
            let pass = pass.clone();
            std::thread::spawn(move || {
                while let Some(request) = frame(&mut client) {
                    server.write_all(&request).unwrap();
                    let mut answer = frame(&mut server).unwrap();
                    if !pass(&request, &mut answer) || client.write_all(&answer).is_err() {
                        return;
                    }
                }
            });
        }
    });
    address
}

fn frame(stream: &mut TcpStream) -> Option<Vec<u8>> {
    let mut length = [0; 4];
    stream.read_exact(&mut length).ok()?;
    let mut frame = length.to_vec();
    frame.resize(4 + u32::from_be_bytes(length) as usize, 0);
    stream.read_exact(&mut frame[4..]).ok()?;
    Some(frame)
}

/// A name server that hands out the address of a stand-in for the broker, which stores what is sent and drops the connection
/// instead of saying so.
fn loses_answers_to_sends(node: &Node) -> String {
    let is_send = |request: &[u8]| request.windows(10).any(|part| part == b"\"code\":310");
    let broker = between(node.address("broker"), move |request, _| !is_send(request));
    let (real, other) = (node.address("broker").to_owned(), broker);
    // Ports of clients and tests have five digits.
    assert_eq!(real.len(), other.len());
    between(node.address("nameserver"), move |_, answer| {
        let at = answer.windows(real.len()).position(|part| part == real.as_bytes());
        at.into_iter().for_each(|at| answer[at..at + real.len()].copy_from_slice(other.as_bytes()));
        true
    })
}

fn check_fails(arguments: &str, name_server: &str, expected: &str) {
    let mut command = Command::new(PROGRAM);
    command.args(arguments.split(' ')).args(["--nameserver", name_server]);
    let Output { status, stdout, stderr } = command.output().unwrap();
    let text = String::from_utf8([stdout, stderr].concat()).unwrap();
    assert!(!status.success() && text.contains(expected), "{text}");
}

#[test]
fn a_message_is_not_sent_again() {
    let dir = tempfile::tempdir().unwrap();
    let node = Node::start(dir.path());
    node.check("topic create t --queues 1", "", &["t"]);
    let name_server = loses_answers_to_sends(&node);
    check_fails("produce t one", &name_server, "of 1 messages 0 were not stored, and 1 may be stored or not");
    node.check("topic show t --output json", "", &["\"messages\": 1"]);
}

#[test]
fn a_dead_letter_is_not_resent_twice() {
    let dir = tempfile::tempdir().unwrap();
    let node = Node::start(dir.path());
    node.check("topic create t --queues 1", "", &["t"]);
    node.check("produce %DLQ%g one --queue 0 --property RETRY_TOPIC=t", "", &["broker-a"]);
    let name_server = loses_answers_to_sends(&node);
    check_fails("dead-letter resend g --all --yes", &name_server, "whether it was resent is not known");
    node.check("topic show %RETRY%g --output json", "", &["\"messages\": 1"]);
    node.check("dead-letter resend g --all --yes", "", &["0 resent, 1 left out, 0 failed"]);
}
