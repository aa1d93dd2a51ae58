//! A log is read from its end, whatever stands in it.

use std::io::Cursor;

use super::*;

fn texts(part: &Part) -> Vec<&str> {
    part.pieces.iter().map(|piece| piece.text.as_str()).collect()
}

fn numbered(lines: usize) -> Vec<u8> {
    (0..lines).flat_map(|number| format!("line {number}\n").into_bytes()).collect()
}

#[test]
fn the_last_lines_come_first_and_older_ones_by_their_place() {
    let bytes = numbered(1200);
    let mut log = Cursor::new(&bytes);
    let last = before(&mut log, None).unwrap();
    assert_eq!((last.pieces.len(), last.end, last.size), (LINES, bytes.len() as u64, bytes.len() as u64));
    assert_eq!((texts(&last)[0], texts(&last)[499]), ("line 700", "line 1199"));
    let older = before(&mut log, Some(last.start)).unwrap();
    assert_eq!((texts(&older)[0], texts(&older)[499]), ("line 200", "line 699"));
    let oldest = before(&mut log, Some(older.start)).unwrap();
    assert_eq!((texts(&oldest)[0], oldest.pieces.len(), oldest.start), ("line 0", 200, 0));
    assert_eq!(before(&mut log, Some(0)).unwrap().pieces, []);
}

#[test]
fn what_was_read_is_followed_by_whole_lines() {
    let mut log = Cursor::new(b"one\ntwo\nthr".to_vec());
    let part = after(&mut log, 4).unwrap();
    assert_eq!((texts(&part), part.end), (vec!["two"], 8));
    assert_eq!(after(&mut log, 8).unwrap().pieces, []);
    log.get_mut().extend_from_slice(b"ee\r\n");
    assert_eq!(texts(&after(&mut log, 8).unwrap()), ["three"]);
    assert_eq!(after(&mut log, 900).unwrap().pieces, []);
}

#[test]
fn a_line_without_an_end_goes_on_in_pieces_and_no_character_is_cut() {
    let long = "ж".repeat(500_000);
    let mut log = Cursor::new(long.into_bytes());
    let part = before(&mut log, None).unwrap();
    assert!(part.pieces.len() > 200 && part.pieces.len() <= LINES, "{}", part.pieces.len());
    assert!(part.pieces.iter().all(|piece| piece.text.chars().all(|character| character == 'ж')));
    assert!(part.pieces[1..].iter().all(|piece| piece.goes_on));
    let bytes: usize = part.pieces.iter().map(|piece| piece.text.len()).sum();
    assert_eq!(bytes as u64, part.end - part.start);
}

#[test]
fn a_line_of_a_stream_is_whole_and_others_are_cut() {
    let object = format!("{{\"type\":\"x\",\"text\":\"{}\"}}", "a".repeat(9000));
    let text = format!("first\n{object}\n{}\n{{\"half", "b".repeat(5000));
    let mut log = Cursor::new(text.clone().into_bytes());
    let part = before(&mut log, None).unwrap();
    assert_eq!(texts(&part)[1], object);
    assert_eq!(part.pieces.iter().filter(|piece| piece.goes_on).count(), 2);
    let cut = cut(part.pieces[1].clone());
    assert_eq!((cut.len(), cut[0].at, cut[1].at, cut[0].goes_on, cut[1].goes_on), (5, 6, 2006, false, true));
    assert_eq!(cut.iter().map(|piece| piece.text.as_str()).collect::<String>(), object);
    // What is half written is read again once it is whole.
    assert_eq!((part.end, part.follow), (text.len() as u64, text.len() as u64 - 6));
    log.get_mut().extend_from_slice(b"\"}\n");
    assert_eq!(texts(&after(&mut log, part.follow).unwrap()), ["{\"half\"}"]);
    let found = object_at(&mut log, 4000).unwrap().unwrap();
    assert_eq!((found.at, found.text), (6, object));
    assert_eq!(object_at(&mut log, 2).unwrap(), None);
    assert_eq!(object_at(&mut log, 1 << 40).unwrap(), None);
}

#[test]
fn a_line_that_is_longer_than_a_page_is_gone_through_page_by_page() {
    let line = format!("{{\"type\":\"{}\"}}\n", "x".repeat(3 << 20));
    let mut log = Cursor::new(format!("first\n{line}last\n").into_bytes());
    let mut end = None;
    let mut seen = 0;
    for _ in 0..20 {
        let part = before(&mut log, end).unwrap();
        assert!(!part.pieces.is_empty());
        seen += part.end - part.start;
        end = Some(part.start);
        if part.start == 0 {
            break;
        }
    }
    assert_eq!((end, seen), (Some(0), log.get_ref().len() as u64));
}

#[test]
fn a_search_finds_each_line_once_from_the_end_also_over_the_edges_of_its_reads() {
    let mut bytes = vec![b'.'; 3 << 20];
    // Over the edge of a read, at both ends of the log, and two in one line.
    for place in [0, (1 << 20) - 3, (2 << 20) - 1, (3 << 20) - 6] {
        bytes[place..place + 6].copy_from_slice(b"needle");
    }
    bytes[100_000] = b'\n';
    bytes[100_010..100_016].copy_from_slice(b"needle");
    bytes[100_020..100_026].copy_from_slice(b"needle");
    bytes[100_030] = b'\n';
    let found = search(&mut Cursor::new(&bytes), "needle", None).unwrap();
    assert!(found.pieces.iter().all(|piece| piece.text.contains("needle")), "{found:?}");
    assert_eq!(found.pieces.len(), 5, "{:?}", found.pieces.iter().map(|piece| piece.at).collect::<Vec<_>>());
    assert!(found.pieces.is_sorted_by(|one, other| one.at > other.at));
    assert_eq!((found.searched, found.older), (3 << 20, None));
    assert_eq!(found.pieces[3].text, ".........needle....needle....");
    assert_eq!(search(&mut Cursor::new(&bytes), "absent", None).unwrap().pieces, []);
}

#[test]
fn a_search_with_very_many_hits_stops_and_goes_on() {
    let bytes = numbered(1000);
    let mut log = Cursor::new(&bytes);
    let found = search(&mut log, "line", None).unwrap();
    assert_eq!((found.pieces.len(), found.pieces[0].text.as_str()), (MATCHES, "line 999"));
    let older = search(&mut log, "line", found.older).unwrap();
    assert_eq!(older.pieces[0].text, "line 799");
    let all_the_same = vec![b'a'; 5000];
    assert!(search(&mut Cursor::new(&all_the_same), "aa", None).unwrap().pieces.len() <= 20);
}

#[test]
fn trouble_is_seen() {
    let piece = |text: &str| Piece { at: 0, text: text.to_owned(), goes_on: false };
    assert!(piece("error[E0308]: mismatched types").is_trouble());
    assert!(piece("thread 'main' panicked at src/a.rs:1").is_trouble());
    assert!(!piece("0 errors, all is well").is_trouble());
}
