//! Messages against the bytes in the RFCs, and what is none.
#![allow(clippy::indexing_slicing, reason = "of bytes the test wrote")]
use super::*;
use crate::wire::Checksum;

const GROUP: Ipv4Addr = Ipv4Addr::new(239, 1, 2, 3);

fn query(bytes: &[u8]) -> Result<Query, Malformed> {
    match Message::parse(bytes, bytes.len())? {
        Message::Query(query) => Ok(query),
        other => panic!("not a query: {other:?}"),
    }
}

#[test]
fn the_version_of_a_query_is_its_length_and_code() {
    let v1 = query(&[0x11, 0, 0, 0, 0, 0, 0, 0]).expect("a query");
    assert_eq!((v1.querier, v1.group), (Querier::V1, None));
    assert_eq!(v1.max_response, Duration::from_secs(10));
    // Whatever it says of a group is ignored.
    let v1 = query(&[0x11, 0, 0, 0, 239, 1, 2, 3]).expect("a query");
    assert_eq!(v1.group, None);
    let v2 = query(&[0x11, 200, 0, 0, 239, 1, 2, 3]).expect("a query");
    assert_eq!((v2.querier, v2.group), (Querier::V2, Some(GROUP)));
    // Not an exponent: that is version 3.
    assert_eq!(v2.max_response, Duration::from_secs(20));
    let v3 = query(&[0x11, 100, 0, 0, 0, 0, 0, 0, 0x0a, 125, 0, 0]).expect("a query");
    let querier = Querier::V3 {
        robustness: 2,
        interval: Duration::from_secs(125),
        sources: 0,
    };
    assert_eq!((v3.querier, v3.group), (querier, None));
    assert_eq!(v3.max_response, Duration::from_secs(10));
    for len in 9..12 {
        assert_eq!(query(&[0x11; 12][..len]), Err(Malformed::TotalLength));
    }
}

#[test]
fn codes_of_version_3_have_an_exponent() {
    for (code, value) in [(0, 0), (127, 127), (128, 128), (0x8f, 248), (0xff, 31_744)] {
        assert_eq!(decode(code), value, "{code:#x}");
    }
    let query = query(&[0x11, 0xff, 0, 0, 0, 0, 0, 0, 0, 0xff, 0, 0]).expect("a query");
    assert_eq!(query.max_response, Duration::from_millis(3_174_400));
    let Querier::V3 { interval, .. } = query.querier else {
        panic!("version 3 by its length");
    };
    assert_eq!(interval, Duration::from_secs(31_744));
}

#[test]
fn sources_that_are_promised_are_there() {
    let mut bytes = vec![0x11, 10, 0, 0, 239, 1, 2, 3, 2, 125, 0, 2];
    bytes.extend([10, 0, 0, 1]);
    assert_eq!(query(&bytes), Err(Malformed::TotalLength));
    bytes.extend([10, 0, 0, 2]);
    let asked = query(&bytes).expect("a query");
    assert!(matches!(asked.querier, Querier::V3 { sources: 2, .. }));
    // RFC 3376 §4.1.10: what follows is ignored.
    bytes.extend([1, 2, 3]);
    assert_eq!(query(&bytes), Ok(asked));
    bytes[10..12].fill(0xff);
    assert_eq!(query(&bytes), Err(Malformed::TotalLength));
    // The sources may lie in other parts of the chain.
    bytes[10..12].copy_from_slice(&[1, 0]);
    let parsed = Message::parse(&bytes[..QUERY_LEN], QUERY_LEN + 1024);
    assert!(matches!(parsed, Ok(Message::Query(_))));
    let cut = Message::parse(&bytes[..QUERY_LEN - 1], QUERY_LEN + 1024);
    assert_eq!(cut, Err(Malformed::Truncated));
}

#[test]
fn groups_are_groups() {
    assert_eq!(query(&[0x11, 10, 0, 0, 10, 0, 0, 1]), Err(Malformed::Group));
    for kind in [REPORT_V1, REPORT_V2] {
        let report = Message::parse(&[kind, 0, 0, 0, 239, 1, 2, 3], 8);
        assert_eq!(report, Ok(Message::Report { group: GROUP }));
        let report = Message::parse(&[kind, 0, 0, 0, 10, 0, 0, 1], 8);
        assert_eq!(report, Err(Malformed::Group));
    }
    assert_eq!(
        Message::parse(&[0x22; 8], 8),
        Ok(Message::Other { kind: 0x22 })
    );
    for len in 0..8 {
        assert_eq!(
            Message::parse(&[0x16; 8][..len], len),
            Err(Malformed::Truncated)
        );
    }
}

#[test]
fn messages_as_on_the_wire() {
    let valid = |bytes: &[u8]| {
        let mut sum = Checksum::new();
        sum.add(bytes);
        sum.is_valid()
    };
    let kinds = [
        (Simple::ReportV1, 0x12),
        (Simple::ReportV2, 0x16),
        (Simple::Leave, 0x17),
    ];
    for (message, kind) in kinds {
        let mut out = [0xee; 9];
        message.emit(GROUP, &mut out).expect("room");
        assert_eq!((out[0], out[1], out[8]), (kind, 0, 0xee));
        assert_eq!(out[4..8], [239, 1, 2, 3]);
        assert!(valid(&out[..8]));
        assert_eq!(message.emit(GROUP, &mut out[..7]), Err(NoRoom));
    }
    let records = [
        (RecordKind::IsMember, GROUP),
        (RecordKind::Joined, Ipv4Addr::new(224, 0, 0, 251)),
        (RecordKind::Left, GROUP),
    ];
    let mut out = [0xee; report_len(3)];
    emit_report(records.into_iter(), &mut out).expect("room");
    assert!(valid(&out));
    assert_eq!((out[0], out[1]), (0x22, 0));
    assert_eq!(out[4..8], [0, 0, 0, 3]);
    assert_eq!(out[8..16], [2, 0, 0, 0, 239, 1, 2, 3]);
    assert_eq!(out[16..24], [4, 0, 0, 0, 224, 0, 0, 251]);
    assert_eq!(out[24..32], [3, 0, 0, 0, 239, 1, 2, 3]);
    assert_eq!(
        emit_report(records.into_iter(), &mut out[..15]),
        Err(NoRoom)
    );
}
