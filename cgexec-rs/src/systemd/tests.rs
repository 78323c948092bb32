//! The conversation with systemd, against one that is played over a socket pair.

use std::io::{Read as _, Write as _};
use std::os::unix::net::UnixStream;
use std::thread;

use super::*;

/// A message of systemd's side, which the client's writer has no words for.
fn message(kind: u8, answers: u32, member: &str, error: &str, signature: &str, texts: &[&str]) -> Vec<u8> {
    let mut body = Vec::new();
    let number = |body: &mut Vec<u8>, value: u32| {
        pad(body, 4);
        body.extend(value.to_ne_bytes());
    };
    if signature.starts_with('u') {
        number(&mut body, 1);
    }
    for text in texts {
        number(&mut body, text.len() as u32);
        body.extend(text.as_bytes());
        body.push(0);
    }
    let mut fields = Vec::new();
    let mut field = |code: u8, kind: &str, value: &str| {
        pad(&mut fields, 8);
        fields.extend([code, 1, kind.as_bytes()[0], 0]);
        if kind == "g" {
            fields.push(value.len() as u8);
        } else {
            fields.extend((value.len() as u32).to_ne_bytes());
        }
        fields.extend(value.as_bytes());
        fields.push(0);
    };
    field(3, "s", member);
    if !error.is_empty() {
        field(4, "s", error);
    }
    field(8, "g", signature);
    pad(&mut fields, 8);
    fields.extend([5, 1, b'u', 0]);
    fields.extend(answers.to_ne_bytes());
    let order = if cfg!(target_endian = "little") { b'l' } else { b'B' };
    let mut bytes = vec![order, kind, 0, 1];
    for number in [body.len() as u32, 1, fields.len() as u32] {
        bytes.extend(number.to_ne_bytes());
    }
    bytes.extend(&fields);
    pad(&mut bytes, 8);
    bytes.extend(&body);
    bytes
}

fn pad(bytes: &mut Vec<u8>, to: usize) {
    bytes.resize(bytes.len().next_multiple_of(to), 0);
}

/// Plays the other side: takes what is asked, says all it has to say, and ends.
fn played(greeting: &'static [u8], says: Vec<Vec<u8>>) -> (Result<(), Error>, Vec<u8>) {
    let (ours, mut theirs) = UnixStream::pair().unwrap();
    let peer = thread::spawn(move || {
        let mut heard = vec![0; 4096];
        let mut len = theirs.read(&mut heard).unwrap();
        theirs.write_all(greeting).unwrap();
        for said in says {
            // a client that is done may not listen to the end
            let _ = theirs.write_all(&said);
        }
        let _ = theirs.shutdown(std::net::Shutdown::Write);
        while let Ok(more @ 1..) = theirs.read(&mut heard[len..]) {
            len += more;
        }
        heard.truncate(len);
        heard
    });
    let scope = Scope {
        name: "cgexec-test.scope".to_string(),
        bound_to: Some("x.service".to_string()),
        ..Scope::default()
    };
    let result =
        Connection::over(ours, Duration::from_secs(5)).and_then(|connection| scope.start(connection, false));
    (result, peer.join().unwrap())
}

const OK: &[u8] = b"DATA\r\nOK 0123\r\n";

#[test]
fn a_scope_is_asked_for_and_waited_for() {
    let signal = |job, result| message(4, 0, "JobRemoved", "", "uoss", &[job, "cgexec-test.scope", result]);
    // another program's job, and our own before its answer
    let says =
        vec![signal("/job/7", "failed"), signal("/job/8", "done"), message(2, 1, "", "", "o", &["/job/8"])];
    let (result, heard) = played(OK, says);
    assert_eq!(result, Ok(()));
    assert!(heard.starts_with(b"\0AUTH EXTERNAL\r\nDATA\r\nBEGIN\r\n"));
    let heard = String::from_utf8_lossy(&heard).into_owned();
    for word in [
        "StartTransientUnit",
        "cgexec-test.scope",
        "PIDs",
        "Delegate",
        "BindsTo",
        "After",
        "x.service",
        "TasksMax",
    ] {
        assert!(heard.contains(word), "{word}");
    }
}

#[test]
fn a_refusal_is_told_in_systemds_own_words() {
    let says = vec![message(3, 1, "", "org.x.Denied", "s", &["Not for you"])];
    let refused = Error::Refused("org.x.Denied".to_string(), "Not for you".to_string());
    assert_eq!(played(OK, says).0, Err(refused.clone()));
    assert_eq!(refused.to_string(), "Not for you (org.x.Denied)");
}

#[test]
fn a_job_that_fails_is_a_failure() {
    let says = vec![
        message(2, 1, "", "", "o", &["/job/8"]),
        message(4, 0, "JobRemoved", "", "uoss", &["/job/8", "cgexec-test.scope", "timeout"]),
    ];
    let failed = Error::Refused("job timeout".to_string(), "cgexec-test.scope did not start".to_string());
    assert_eq!(played(OK, says).0, Err(failed));
}

#[test]
fn a_peer_that_does_not_take_us_or_goes_away_is_no_riddle() {
    assert_eq!(played(b"REJECTED EXTERNAL\r\n", Vec::new()).0, Err(Error::Rejected));
    assert_eq!(played(OK, Vec::new()).0, Err(Error::Io(std::io::ErrorKind::UnexpectedEof)));
    let nonsense = played(OK, vec![vec![b'x'; 64]]).0;
    assert_eq!(nonsense, Err(Error::Malformed("it is not a version 1 message in this byte order")));
}

#[test]
fn a_peer_that_never_comes_to_the_point_is_left_in_time() {
    let (ours, mut theirs) = UnixStream::pair().unwrap();
    let peer = thread::spawn(move || {
        theirs.write_all(OK).unwrap();
        let chatter = message(4, 0, "Chatter", "", "", &[]).repeat(2000);
        // until no process listens
        while theirs.write_all(&chatter).is_ok() {}
    });
    let scope = Scope {
        name: "cgexec-test.scope".to_string(),
        bound_to: Some("x.service".to_string()),
        ..Scope::default()
    };
    let (reporter, told) = std::sync::mpsc::channel();
    thread::spawn(move || {
        let connection = Connection::over(ours, Duration::from_secs(2)).unwrap();
        reporter.send(scope.start(connection, false))
    });
    let result = told.recv_timeout(Duration::from_secs(20)).expect("an end");
    assert_eq!(result, Err(Error::Io(std::io::ErrorKind::TimedOut)));
    peer.join().unwrap();
}

#[test]
fn sockets_are_found_also_without_the_variables() {
    let none = user_sockets(1000, |_| None);
    assert_eq!(none, [Path::new("/run/user/1000/bus"), Path::new("/run/user/1000/systemd/private")]);
    let all = user_sockets(1000, |name| match name {
        "DBUS_SESSION_BUS_ADDRESS" => Some("unix:path=/x/bus,guid=1".into()),
        _ => Some("/run/user/1000".into()),
    });
    assert_eq!(all[0], Path::new("/x/bus"));
    assert_eq!(all.len(), 3);
}

#[test]
fn a_unit_is_an_object_whose_name_is_letters_and_digits() {
    assert_eq!(object_of("vte-spawn-1.scope"), "/org/freedesktop/systemd1/unit/vte_2dspawn_2d1_2escope");
    assert_eq!(object_of("1@x.service"), "/org/freedesktop/systemd1/unit/_31_40x_2eservice");
}
