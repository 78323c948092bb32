//! The bytes of messages, good and bad.

use super::*;

const CALL: super::MethodCall<'_> = super::MethodCall {
    destination: Some("org.x"),
    path: "/o",
    interface: "i.f",
    member: "Do",
    signature: "su",
};

fn call() -> Vec<u8> {
    let mut body = Body::default();
    body.text("hi").u32(7);
    CALL.to_bytes(3, &body)
}

#[test]
fn a_message_comes_out_as_it_went_in() {
    let bytes = call();
    let (message, len) = Message::parse(&bytes).unwrap().unwrap();
    assert_eq!((len, message.kind), (bytes.len(), super::CALL));
    assert_eq!((message.member.as_str(), message.signature.as_str()), ("Do", "su"));
    assert_eq!(message.texts(), Ok(vec!["hi".to_string()]));
}

#[test]
#[cfg(target_endian = "little")]
fn the_bytes_are_those_of_the_specification() {
    let mut body = Body::default();
    body.array(8, |items| items.property("P", "au", |value| value.array(4, |numbers| numbers.u32(0))));
    let bytes = [
        24, 0, 0, 0, 0, 0, 0, 0, // length from the first element on, padding to 8
        1, 0, 0, 0, b'P', 0, 2, b'a', b'u', 0, 0, 0, // name, signature, padding to 4
        4, 0, 0, 0, 0, 0, 0, 0, // an array of one number
    ];
    // the array ends with its last element, so the outer length is 20
    let mut expected = bytes.to_vec();
    expected[0] = 20;
    assert_eq!(body.0, expected);
}

#[test]
fn a_message_that_is_not_complete_is_waited_for() {
    let bytes = call();
    for len in 0..bytes.len() {
        assert_eq!(Message::parse(&bytes[..len]), Ok(None), "{len}");
    }
    let twice = [bytes.clone(), bytes.clone()].concat();
    assert_eq!(Message::parse(&twice).unwrap().unwrap().1, bytes.len());
}

#[test]
fn what_claims_to_be_huge_is_refused() {
    let mut bytes = call();
    bytes[4..8].copy_from_slice(&u32::MAX.to_ne_bytes());
    assert_eq!(Message::parse(&bytes), Err(Error::Malformed("a message longer than a mebibyte")));
}

/// xorshift: the same bytes in every run.
struct Noise(u64);

impl Noise {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }
}

#[test]
fn no_bytes_at_all_break_the_reader() {
    let mut noise = Noise(0x9e37_79b9_7f4a_7c15);
    let good = call();
    for round in 0..200_000 {
        let mut bytes = good.clone();
        match round % 3 {
            // a few bytes changed
            0 | 1 => {
                for _ in 0..=noise.next() % 4 {
                    let at = noise.next() as usize % bytes.len();
                    bytes[at] = noise.next() as u8;
                }
            }
            // noise behind a head that is believed
            _ => bytes.iter_mut().skip(16).for_each(|byte| *byte = noise.next() as u8),
        }
        bytes.truncate(noise.next() as usize % (bytes.len() + 1));
        if let Ok(Some((message, len))) = Message::parse(&bytes) {
            assert!(len <= bytes.len());
            let _ = message.texts();
        }
    }
}

#[test]
fn a_property_is_a_number_in_a_variant() {
    let reply = |signature: &str, write: &dyn Fn(&mut Body)| {
        let mut body = Body::default();
        write(&mut body);
        Message { signature: signature.to_string(), body: body.0, ..Message::default() }.number()
    };
    assert_eq!(reply("v", &|body| _ = body.variant("t", |value| value.u64(2719))), Ok(2719));
    assert_eq!(reply("v", &|body| _ = body.variant("b", |value| value.boolean(true))), Ok(1));
    assert!(reply("v", &|body| _ = body.variant("s", |value| value.text("7"))).is_err());
    assert!(reply("v", &|_| ()).is_err());
}
